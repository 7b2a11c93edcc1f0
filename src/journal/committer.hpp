// SPDX-License-Identifier: Apache-2.0
// The one thread that writes: takes what the shards appended, leaves retries out, joins the rest
// into batches, has them written and synced, and only then hands the receipts back.
//
// What an append answers → what the committer does:
//   written             receipts go out, readers see the batch, identities may reach run files
//   disk_full,          nothing was written: the groups of this batch are refused with that code,
//   unavailable         their identities forgotten; the next batch tries again
//   io (anything else)  final: no receipt goes out any more, on_fatal is called once, what was not
//                       yet taken is refused as unavailable, the thread ends
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "journal/batch_plan.hpp"
#include "journal/commit_queue.hpp"
#include "journal/dedupe.hpp"
#include "journal/recent_batches.hpp"
#include "journal/segment_store.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::journal {

class Committer {
 public:
  /// All outlive it.
  struct Parts {
    CommitQueue& queue;
    SegmentStore& store;
    DedupeIndex& dedupe;
    RecentBatches& recent;
  };
  struct Limits {
    std::size_t batch_bytes_max = 4 << 20;
    bool sync = true;
  };
  Committer(Parts parts, Limits limits, telemetry::Registry& metrics);
  ~Committer();

  void start(std::function<void(const Error&)> on_fatal);
  /// Commits what was handed over, seals, joins. Idempotent.
  void stop();
  bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }

 private:
  struct Metrics {
    explicit Metrics(telemetry::Registry& registry);
    telemetry::Histogram& commit_seconds;
    telemetry::Histogram& batch_bytes;
    telemetry::Histogram& batch_records;
    telemetry::Counter& records;
    telemetry::Counter& payload_bytes;
    telemetry::Counter& duplicates;
    telemetry::Counter& conflicts;
    telemetry::Counter& refused;
    telemetry::Counter& failures;
    telemetry::Gauge& amplification;
    telemetry::Gauge& last_sequence;
  };

  void loop();
  bool commit(ShardBatches& taken);
  bool write_plan();
  bool write_records();
  bool seal();
  void refuse(const Error& error);
  void hand_back(ShardBatches& taken, std::size_t from, std::size_t to);
  void fatal(const Error& error);

  Parts parts_;
  const Limits limits_;
  Metrics metrics_;
  BatchPlan plan_;
  BatchBuffer seal_buffer_;
  std::uint64_t payload_written_ = 0;
  std::uint64_t device_written_ = 0;
  std::function<void(const Error&)> on_fatal_;
  std::atomic<bool> failed_{false};
  std::thread thread_;
};

}  // namespace trialwire::journal
