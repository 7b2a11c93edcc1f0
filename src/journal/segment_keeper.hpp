// SPDX-License-Identifier: Apache-2.0
// Background work on segments, on one thread of its own once started: writes the next segment full
// of zeros before it is needed, seals and signs what is full, deletes what policy lets go. Failures
// here are retried; they never fail the journal. The committer meets it in `take_spare` alone.
//
// The next segment is written as the current one is used: nothing for its first quarter, then
// twice as much as is used, so that it is there when three quarters are and no commit finds the
// disk busy with all of it. Who waits for it has it written without pause.
//
// A disk that is full takes what everybody has before its retention is over, a segment at a time;
// one a minute where that gives no room, as on a file system with snapshots. What the note of a
// deletion takes is kept for it.
#pragma once
#include <atomic>
#include <chrono>
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
  bool started() const noexcept { return started_.load(std::memory_order_relaxed); }
  /// One round on the caller's thread; only while not started.
  void maintain();
  /// There may be work: space was freed, a segment is full, or another part of it was used.
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
  bool make_room(std::uint64_t filled);
  void prepare(const std::stop_token& stop);
  Result<void> begin_spare();
  Result<bool> write_spare(const std::stop_token& stop);
  Result<void> finish_spare();
  void drop_spare() noexcept;
  void spare_failed(const Error& error);
  std::uint64_t due_bytes();
  std::filesystem::path spare_path() const;
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

  // The spare that is being written; its thread's alone.
  struct Filling {
    std::uint64_t number = 0;
    std::unique_ptr<File> file;
    std::uint64_t filled = 0;
  };
  std::optional<Filling> filling_;
  // Since the last spare was whole: how much of one was written when a segment went early, and when
  // the next may go although no more was.
  std::uint64_t filled_before_ = 0;
  std::chrono::steady_clock::time_point again_early_{};
  bool deletion_fails_ = false;

  std::mutex mutex_;  // over the five below
  std::condition_variable_any changed_;
  std::deque<std::uint64_t> spare_numbers_;
  std::uint64_t highest_segment_;
  std::optional<Error> error_;
  bool woken_ = false;
  bool awaited_ = false;  // a spare, by `take_spare`

  std::atomic<bool> blocked_{false};
  std::atomic<std::uint64_t> spare_count_{0};
  std::atomic<bool> started_ = false;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace trialwire::journal
