// SPDX-License-Identifier: Apache-2.0
// Keeps the run files: writes a full generation of the hot table as a run, and merges runs of one
// size so that few remain (at most about 7 of each size, sizes growing eightfold). One background
// thread; a generation that waits interrupts a merge. Nothing here can fail the journal: an error
// is logged with the file named, tried again later, and told to the committer by `view`.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
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
  bool direct = false;
  std::size_t generation = 1 << 17;  // entries of the smallest usual run
  std::size_t fan_in = 8;            // runs of one size that are merged into one
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
  void spill(const HotTable& generation, SequenceRange range);
  /// Waits until nothing is spilling, or writing it has failed.
  void wait_spilled();
  /// Waits until nothing is spilling and no merge is due (or the last one failed).
  void wait_idle();

  // Before `start`, by whoever opens the index:
  /// Takes in a run found on disk; in order, the oldest first.
  void adopt(std::shared_ptr<const Run> run);
  void set_forgotten_below(std::uint64_t sequence) { forgotten_below_ = sequence; }
  /// As `spill`, at once.
  Result<void> spill_now(const HotTable& generation, SequenceRange range);

 private:
  void loop(const std::stop_token& stop);
  Result<void> write_generation(const HotTable& generation, SequenceRange range);
  void spill_if_waiting();
  RunSet due_merge(const RunSet& runs) const;
  Result<void> merge(const RunSet& inputs, const std::stop_token& stop);
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
  std::optional<ErrorCode> failure_;
  bool merging_ = false;
  bool merge_failed_ = false;
  std::atomic<std::uint64_t> version_{1};

  telemetry::Gauge& run_count_;
  telemetry::Gauge& run_bytes_;
  telemetry::Counter& written_bytes_;
  telemetry::Counter& merges_;
  telemetry::Counter& failures_;
  std::jthread thread_;
};

/// Positions of a generation's entries in the order of a run: by identity, the newest first among
/// equal ones. A distribution pass and a repair pass, since identities are uniform.
std::vector<std::uint32_t> run_order(const HotTable& generation);

}  // namespace trialwire::journal
