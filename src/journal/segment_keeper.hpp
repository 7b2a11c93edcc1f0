// SPDX-License-Identifier: Apache-2.0
// Background work on segments, on one thread of its own once started: writes the next segment full
// of zeros before it is needed, seals and signs what is full, deletes what policy lets go. Failures
// here are retried; they never fail the journal. The committer meets it in `take_spare` alone.
#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.hpp"
#include "journal/recovery.hpp"
#include "journal/segment_ledger.hpp"
#include "journal/segment_store.hpp"

namespace trialwire::journal {

struct KeeperOptions {
  std::filesystem::path directory;
  Uuid journal;
  bool direct = false;
  std::uint64_t segment_bytes = 0;
  std::uint64_t bytes_max = 0;
  std::chrono::nanoseconds retention{};
  std::chrono::milliseconds spare_retry{};
  std::chrono::milliseconds spare_wait{};
};

class SegmentKeeper {
 public:
  SegmentKeeper(KeeperOptions options, FileLayer& files, SegmentLedger& ledger, SigningKey signing,
                std::vector<std::uint64_t> spares, std::uint64_t highest_segment,
                telemetry::Registry& metrics);
  ~SegmentKeeper() { stop(); }

  void start(StoreEvents events);
  void stop();
  bool started() const noexcept { return thread_.joinable(); }
  /// One round on the caller's thread; only while not started.
  void maintain();
  /// There may be work.
  void wake();

  /// The number of a segment of zeros. Waits for one that is being written, `spare_wait` at most;
  /// when the last attempt to write one has failed, returns that error at once.
  Result<std::uint64_t> take_spare();

  /// Did the last attempt to write a spare fail, and nothing has changed since?
  bool blocked() const noexcept { return blocked_.load(std::memory_order_relaxed); }
  std::uint64_t spares() const noexcept { return spare_count_.load(std::memory_order_relaxed); }

 private:
  void run(const std::stop_token& stop);
  void seal_full();
  void delete_by_policy();
  bool delete_oldest(const SealedSegment& segment);
  void prepare(const std::stop_token& stop);
  Result<void> write_spare(std::uint64_t number, const std::stop_token& stop);
  bool over_budget() const;
  bool spare_wanted() const;

  KeeperOptions options_;
  FileLayer& files_;
  SegmentLedger& ledger_;
  SigningKey signing_;
  StoreEvents events_;
  telemetry::Counter& prepared_;
  telemetry::Counter& prepare_failures_;
  telemetry::Counter& deleted_;

  std::mutex mutex_;  // over the four below
  std::condition_variable_any changed_;
  std::deque<std::uint64_t> spare_numbers_;
  std::uint64_t highest_segment_;
  std::optional<Error> error_;
  bool woken_ = false;

  std::atomic<bool> blocked_{false};
  std::atomic<std::uint64_t> spare_count_{0};
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace trialwire::journal
