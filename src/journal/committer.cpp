// SPDX-License-Identifier: Apache-2.0
#include "journal/committer.hpp"

#include <pthread.h>

#include <chrono>

#include "base/check.hpp"
#include "journal/short_turns.hpp"
#include "telemetry/log.hpp"

namespace trialwire::journal {
namespace {

std::int64_t unix_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

bool nothing_written(ErrorCode code) noexcept {
  return code == ErrorCode::disk_full || code == ErrorCode::unavailable ||
         code == ErrorCode::payload_too_large;
}

}  // namespace

Committer::Metrics::Metrics(telemetry::Registry& registry)
    : commit_seconds(registry.histogram("trialwire_journal_commit_seconds",
                                        "Write and sync of one batch.",
                                        telemetry::latency_seconds_buckets())),
      batch_bytes(registry.histogram("trialwire_journal_batch_bytes",
                                     "Bytes written a batch, padding included.",
                                     telemetry::size_buckets())),
      batch_records(registry.histogram("trialwire_journal_batch_records", "Records a batch.",
                                       telemetry::size_buckets())),
      records(registry.counter("trialwire_journal_records_total", "Records made durable.")),
      payload_bytes(registry.counter("trialwire_journal_payload_bytes_total",
                                     "Bytes of records made durable.")),
      duplicates(registry.counter("trialwire_journal_duplicates_total",
                                  "Records answered with an earlier receipt.")),
      conflicts(registry.counter("trialwire_journal_conflicts_total",
                                 "Records refused: same identity, other bytes.")),
      refused(registry.counter("trialwire_journal_refused_groups_total",
                               "Requests refused because nothing could be written.")),
      failures(registry.counter("trialwire_journal_write_failures_total",
                                "Failed writes and syncs; the first one ends the process.")),
      amplification(registry.gauge("trialwire_journal_write_amplification",
                                   "Bytes written by bytes of records, since start.")),
      last_sequence(registry.gauge("trialwire_journal_last_sequence",
                                   "Sequence of the newest durable record.")) {}

Committer::Committer(Parts parts, Limits limits, telemetry::Registry& metrics)
    : parts_(parts), limits_(limits), metrics_(metrics) {
  metrics_.last_sequence.set(static_cast<double>(parts.store.chain().next_sequence - 1));
}

Committer::~Committer() {
  stop();
}

void Committer::start(std::function<void(const Error&)> on_fatal) {
  TW_CHECK(!thread_.joinable());
  on_fatal_ = std::move(on_fatal);
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "committer");
    ask_for_short_turns();
    loop();
  });
}

void Committer::stop() {
  if (!thread_.joinable()) return;
  parts_.queue.request_stop();
  thread_.join();
}

void Committer::loop() {
  ShardBatches taken;
  bool alive = true;
  while (alive) {
    switch (parts_.queue.wait(taken)) {
      case CommitQueue::Work::commit:
        alive = commit(taken);
        break;
      case CommitQueue::Work::seal:
        alive = seal();
        break;
      case CommitQueue::Work::stop:
        alive = false;
        break;
    }
  }
  parts_.queue.close();
}

bool Committer::commit(ShardBatches& taken) {
  PrefetchAhead ahead(taken, parts_.dedupe);
  std::size_t settled = 0;  // batches before this one have gone back
  const BatchPlan::Origin origin = {.journal = parts_.store.chain().journal,
                                    .epoch = parts_.store.chain().epoch,
                                    .synced = limits_.sync};
  auto begin = [&] {
    auto here = origin;
    here.next_sequence = parts_.store.chain().next_sequence;
    plan_.begin(here, parts_.dedupe);
    return parts_.dedupe.begin_batch();
  };
  auto room = begin();
  for (std::size_t i = 0; i < taken.size(); ++i) {
    for (Group& group : taken[i]->groups) {
      if (group.waiter == nullptr) {
        ahead.advance(group.records);
        continue;
      }
      plan_.add(*taken[i], group, parts_.dedupe, ahead);
      if (plan_.payload_bytes() < limits_.batch_bytes_max) continue;
      if (room) {
        if (!write_plan()) return false;
      } else {
        refuse(room.error());
      }
      // The last batch may have more groups to come: it goes back with the next.
      hand_back(taken, settled, i);
      settled = i;
      room = begin();
    }
  }
  if (room) {
    if (!write_plan()) return false;
  } else {
    refuse(room.error());
  }
  hand_back(taken, settled, taken.size());
  taken.clear();
  return true;
}

void Committer::hand_back(ShardBatches& taken, std::size_t from, std::size_t to) {
  if (from == to) return;
  const std::uint64_t next = parts_.store.chain().next_sequence;
  for (std::size_t i = from; i < to; ++i) parts_.queue.settle(std::move(taken[i]), next);
  parts_.queue.notify_shards();
}

void Committer::refuse(const Error& error) {
  metrics_.refused.add(plan_.groups());
  plan_.refuse(error.code, parts_.dedupe);
}

bool Committer::write_plan() {
  if (plan_.records() > 0 && !write_records()) return false;
  // Answered from earlier batches alone, or from the one that is durable by now.
  metrics_.duplicates.add(plan_.duplicates());
  metrics_.conflicts.add(plan_.conflicts());
  return true;
}

bool Committer::write_records() {
  auto batch = parts_.recent.acquire(plan_.payload_bytes());
  batch->buffer.begin(plan_.payload_bytes(), plan_.records());
  plan_.copy_to(batch->buffer);
  batch->first_sequence = parts_.store.chain().next_sequence;
  batch->epoch = parts_.store.chain().epoch;
  const auto before = CommitRule::Clock::now();
  auto appended = parts_.store.append(batch->buffer, unix_now_ns());
  const auto after = CommitRule::Clock::now();
  if (!appended) {
    parts_.recent.give_back(std::move(batch));
    if (!nothing_written(appended.error().code)) {
      fatal(appended.error());
      return false;
    }
    refuse(appended.error());
    return true;
  }
  parts_.queue.rule().appended(after);
  const std::uint64_t next = parts_.store.chain().next_sequence;
  parts_.dedupe.durable(next, appended->bytes);
  parts_.recent.publish(std::move(batch));

  metrics_.commit_seconds.observe(std::chrono::duration<double>(after - before).count());
  metrics_.batch_bytes.observe(static_cast<double>(appended->bytes));
  metrics_.batch_records.observe(static_cast<double>(plan_.records()));
  metrics_.records.add(plan_.records());
  metrics_.payload_bytes.add(plan_.payload_bytes());
  payload_written_ += plan_.payload_bytes();
  device_written_ += appended->bytes;
  metrics_.amplification.set(static_cast<double>(device_written_) /
                             static_cast<double>(payload_written_));
  metrics_.last_sequence.set(static_cast<double>(next - 1));
  return true;
}

bool Committer::seal() {
  seal_buffer_.begin(0, 0, batch_sealing);
  auto appended = parts_.store.append(seal_buffer_, unix_now_ns());
  if (appended) {
    parts_.queue.rule().sealed();
    device_written_ += appended->bytes;
    return true;
  }
  if (!nothing_written(appended.error().code)) {
    fatal(appended.error());
    return false;
  }
  parts_.queue.seal_refused();
  return true;
}

void Committer::fatal(const Error& error) {
  failed_.store(true, std::memory_order_release);
  parts_.queue.refuse_new();
  parts_.queue.hold_for_good();
  metrics_.failures.add();
  telemetry::log(telemetry::LogLevel::error, "journal",
                 "the disk failed: nothing more is acknowledged",
                 {{"code", traits(error.code).label}, {"detail", error.text}});
  on_fatal_(error);
}

}  // namespace trialwire::journal
