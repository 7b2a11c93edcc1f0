// SPDX-License-Identifier: Apache-2.0
// Keeps the run files: writes a full generation of the hot table as a run, and merges the runs of
// an era into one when it is over (and before, when they are many). One background thread; a
// generation that waits interrupts a merge. Nothing here can fail the journal: an error is logged
// with the file named, tried again later, and told to the committer by `view`.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "journal/dedupe_hot.hpp"
#include "journal/dedupe_run.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::journal {

/// Newest first; ranges adjoin.
using RunSet = std::vector<std::shared_ptr<const Run>>;

struct RunKeeperOptions {
  std::filesystem::path directory;
  Uuid journal;
  std::size_t generation = 1 << 17;  // entries of the smallest usual run
  std::size_t fan_in = 16;           // runs of one size that are merged into one
  std::uint64_t capacity = 1 << 25;  // identities that can be found again
  std::int64_t window_ms = 0;
  std::chrono::milliseconds retry{1000};  // after a failure
};

class RunKeeper {
 public:
  RunKeeper(FileLayer& files, RunKeeperOptions options, telemetry::Registry& metrics);
  ~RunKeeper();
  RunKeeper(const RunKeeper&) = delete;
  RunKeeper& operator=(const RunKeeper&) = delete;

  void start();
  /// Finishes the file being written, not a merge. Idempotent.
  void stop();

  /// What is to be looked up in, and whether the generation that was handed over is in it by now.
  struct View {
    std::shared_ptr<const RunSet> runs;
    bool spilling = false;
    std::optional<ErrorCode> failure;  // of the last attempt to write a generation
  };
  View view() const;
  /// Changes when `view` does. Any thread.
  std::uint64_t version() const noexcept { return version_.load(std::memory_order_acquire); }

  /// Hands a generation over: it must not change until `view` says that it is no longer spilling.
  /// All of `range` is durable in the journal. Not while one is spilling.
  void spill(const HotTable& generation, SequenceRange range, std::uint64_t era);
  /// Waits until nothing is spilling, or writing it has failed.
  void wait_spilled();
  /// Waits until nothing is spilling and no merge is due (or the last one failed).
  void wait_idle();

  /// All identities of sequences below are in run files. Any thread.
  std::uint64_t written_below() const noexcept {
    return written_below_.load(std::memory_order_acquire);
  }

  // Before `start`, by whoever opens the index:
  /// Called on the background thread when `written_below` has moved.
  void on_written(std::function<void()> told) { on_written_ = std::move(told); }
  /// Takes in a run found on disk; in order, the oldest first.
  void adopt(std::shared_ptr<const Run> run);
  void set_forgotten_below(std::uint64_t sequence) { forgotten_below_ = sequence; }
  /// As `spill`, at once.
  Result<void> spill_now(const HotTable& generation, SequenceRange range, std::uint64_t era);

 private:
  void loop(const std::stop_token& stop);
  Result<void> write_generation(const HotTable& generation, SequenceRange range, std::uint64_t era);
  void spill_if_waiting();
  RunSet due_merge(const RunSet& runs) const;
  Result<void> merge(const RunSet& inputs, const std::stop_token& stop);
  void replace(const RunSet& inputs, std::shared_ptr<const Run> merged);
  std::uint64_t forget_below(const RunSet& runs, std::int64_t newest_ms) const;
  void publish(RunSet runs);
  RunSet current() const;
  void remove(const RunSet& runs);
  unsigned size_class(const Run& run) const;

  FileLayer& files_;
  const RunKeeperOptions options_;
  std::uint64_t forgotten_below_ = 1;  // the keeper's thread

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::shared_ptr<const RunSet> runs_ = std::make_shared<RunSet>();
  const HotTable* waiting_ = nullptr;
  SequenceRange waiting_range_;
  std::uint64_t waiting_era_ = 0;
  std::optional<ErrorCode> failure_;
  bool merging_ = false;
  bool merge_failed_ = false;
  std::atomic<std::uint64_t> version_{1};
  std::atomic<std::uint64_t> written_below_{1};
  std::function<void()> on_written_;

  telemetry::Gauge& run_count_;
  telemetry::Gauge& run_bytes_;
  telemetry::Counter& written_bytes_;
  telemetry::Counter& merges_;
  telemetry::Counter& failures_;
  std::jthread thread_;
};

/// Positions of a generation's entries in the order of a run.
std::vector<std::uint32_t> run_order(const HotTable& generation, unsigned partition_bits);

}  // namespace trialwire::journal
