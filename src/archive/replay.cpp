// SPDX-License-Identifier: Apache-2.0
#include "archive/replay.hpp"

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "pipeline/lane_schedule.hpp"
#include "pipeline/record_batch.hpp"

namespace trialwire::archive {
namespace {

using journal::BatchView;
using journal::Cursor;
using journal::Record;

class JoinedReader final : public journal::SegmentReader {
 public:
  explicit JoinedReader(JoinedSources sources) : sources_(std::move(sources)) {}

  Result<const BatchView*> next() override {
    if (reader_ == nullptr && sources_.archive != nullptr) {
      const auto batch = sources_.archive->next();
      if (!batch || *batch != nullptr) return batch;
    }
    if (sources_.journal == nullptr) return nullptr;
    if (reader_ == nullptr) {
      const std::uint64_t at = next_sequence();
      const std::uint64_t oldest = sources_.journal->info().first_sequence;
      if (at < oldest) {
        return fail(ErrorCode::not_found,
                    fmt::format("sequences {} to {} are neither in the archive nor in the journal",
                                at, oldest - 1));
      }
      reader_ = sources_.journal->read(at);
    }
    return reader_->next();
  }
  std::uint64_t next_sequence() const noexcept override {
    if (reader_ != nullptr) return reader_->next_sequence();
    return sources_.archive != nullptr ? sources_.archive->next_sequence() : sources_.from;
  }

 private:
  JoinedSources sources_;
  std::unique_ptr<journal::SegmentReader> reader_;
};

/// One lane of the sink, and what is collected for it.
struct Target {
  pipeline::Sink* sink = nullptr;
  std::uint64_t cursor = 1;
  pipeline::RecordBatch batch{8 << 20};
};

class Replay {
 public:
  Replay(journal::SegmentReader& from, std::span<const std::unique_ptr<pipeline::Sink>> lanes,
         const ReplayOptions& options)
      : from_(from),
        options_(options),
        schedule_(static_cast<unsigned>(lanes.size())),
        random_(std::random_device{}()) {
    TW_CHECK(!lanes.empty());
    for (const auto& lane : lanes) targets_.emplace_back().sink = lane.get();
  }

  Result<ReplayReport> run();

 private:
  Result<void> locate();
  Result<void> collect(const BatchView& batch);
  bool full() const;
  Result<void> deliver();
  Result<void> deliver(Target& target);
  std::uint64_t cursor_after(const Target& target) const;
  Target& target_of(const Record& record);

  journal::SegmentReader& from_;
  const ReplayOptions& options_;
  const pipeline::LaneSchedule schedule_;
  std::minstd_rand random_;
  std::vector<Target> targets_;
  std::vector<Record> records_;
  Target* submission_target_ = nullptr;  // of the submission that is being collected
  ReplayReport report_;
  std::uint64_t collected_ = 0;
};

Result<void> Replay::locate() {
  for (Target& target : targets_) {
    const auto cursor = target.sink->durable_cursor(options_.journal);
    if (!cursor) return std::unexpected(cursor.error());
    target.cursor = cursor->next_sequence;
  }
  return {};
}

/// As the lanes divide them: by key, a submission whole to the lane of its first record.
Target& Replay::target_of(const Record& record) {
  const auto& attributes = record.attributes;
  const bool goes_on = attributes.submission != Uuid{} && attributes.submission_index > 0;
  if (!goes_on || submission_target_ == nullptr) {
    submission_target_ = &targets_[schedule_.lane_of(record.sequence, attributes.key_hash)];
  }
  return *submission_target_;
}

/// A batch of the journal is never split: no submission is.
Result<void> Replay::collect(const BatchView& batch) {
  records_.clear();
  if (!journal::decode_batch(batch, records_)) {
    return fail(ErrorCode::corrupt, fmt::format("segment {:x}: offset {}: the batch holds no "
                                                "sequence of records",
                                                batch.head.segment, batch.head.offset));
  }
  for (const Record& record : records_) {
    if (record.sequence >= options_.until) break;
    if (report_.first_sequence == 0) report_.first_sequence = record.sequence;
    target_of(record).batch.add(record);
    report_.next_sequence = record.sequence + 1;
    ++collected_;
  }
  return {};
}

bool Replay::full() const {
  return std::ranges::any_of(targets_, [this](const Target& target) {
    return target.batch.size() >= options_.batch_records ||
           target.batch.bytes() >= options_.batch_bytes;
  });
}

/// Forward only, and only over what was delivered from at or before it.
std::uint64_t Replay::cursor_after(const Target& target) const {
  if (report_.first_sequence > target.cursor) return target.cursor;
  return std::max(target.cursor, std::min(report_.next_sequence, options_.cursor_until));
}

Result<void> Replay::deliver(Target& target) {
  for (unsigned attempt = 1;; ++attempt) {
    const std::uint64_t cursor = cursor_after(target);
    if (target.batch.empty() && cursor == target.cursor) return {};
    const auto done =
        target.sink->deliver(target.batch.records(), Cursor{options_.journal, cursor});
    if (done) {
      target.cursor = cursor;
      target.batch.clear();
      return {};
    }
    const Error& error = done.error();
    const bool may_repeat = traits(error.code).retryable || error.code == ErrorCode::conflict ||
                            error.code == ErrorCode::io || error.code == ErrorCode::internal;
    if (!may_repeat || attempt == options_.attempts) {
      return fail(
          error.code,
          target.batch.empty()
              ? error.text
              : fmt::format("sequences {} to {}: {}", target.batch.records().front().sequence,
                            target.batch.records().back().sequence, error.text));
    }
    target.sink->reset();
    const double chance = std::uniform_real_distribution<double>(0.0, 1.0)(random_);
    std::this_thread::sleep_for(resilience::backoff(options_.backoff, attempt, chance));
    // A server may have moved it meanwhile.
    const auto now = target.sink->durable_cursor(options_.journal);
    if (now) target.cursor = now->next_sequence;
  }
}

Result<void> Replay::deliver() {
  for (Target& target : targets_) {
    if (auto done = deliver(target); !done) return done;
  }
  report_.records += std::exchange(collected_, 0);
  return {};
}

Result<ReplayReport> Replay::run() {
  if (auto located = locate(); !located) return std::unexpected(located.error());
  for (const Target& target : targets_) report_.cursors_before.push_back(target.cursor);
  bool goes_on = true;
  while (goes_on && report_.next_sequence < options_.until) {
    const auto batch = from_.next();
    if (!batch) {
      // What was collected until then is good.
      if (auto done = deliver(); !done) return std::unexpected(done.error());
      return std::unexpected(batch.error());
    }
    if (*batch == nullptr || (*batch)->head.first_sequence >= options_.until) break;
    if (auto collected = collect(**batch); !collected) return std::unexpected(collected.error());
    if (!full()) continue;
    if (auto done = deliver(); !done) return std::unexpected(done.error());
    if (options_.progress) goes_on = options_.progress(report_.next_sequence, report_.records);
  }
  if (auto done = deliver(); !done) return std::unexpected(done.error());
  for (const Target& target : targets_) report_.cursors_after.push_back(target.cursor);
  return std::move(report_);
}

}  // namespace

Result<ReplayReport> replay(journal::SegmentReader& from,
                            std::span<const std::unique_ptr<pipeline::Sink>> lanes,
                            const ReplayOptions& options) {
  return Replay(from, lanes, options).run();
}

std::unique_ptr<journal::SegmentReader> joined(JoinedSources sources) {
  return std::make_unique<JoinedReader>(std::move(sources));
}

}  // namespace trialwire::archive
