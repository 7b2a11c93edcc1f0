// SPDX-License-Identifier: Apache-2.0
#include "archive/replay.hpp"

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/unix_time.hpp"
#include "pipeline/poison_search.hpp"
#include "pipeline/record_batch.hpp"
#include "pipeline/sink_error.hpp"

namespace trialwire::archive {
namespace {

using journal::BatchView;
using journal::Cursor;
using journal::Record;
using pipeline::is_refusal;
using pipeline::may_pass;
using pipeline::PoisonSearch;
using Records = std::span<const Record>;

constexpr std::size_t piece_records = 512;  // of a delivery in which something was refused

std::string sequences_of(Records records) {
  const std::uint64_t first = records.front().sequence;
  const std::uint64_t last = records.back().sequence;
  return first == last ? fmt::format("sequence {}", first)
                       : fmt::format("sequences {} to {}", first, last);
}

std::unexpected<Error> about(Records records, const Error& error, std::string_view doing = "") {
  if (records.empty()) return std::unexpected(error);
  return fail(error.code, fmt::format("{}: {}{}", sequences_of(records), doing, error.text));
}

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
  std::uint64_t pending = 0;  // the first of the batch that is not delivered; 0: all is
};

class Replay {
 public:
  Replay(journal::SegmentReader& from, std::span<const std::unique_ptr<pipeline::Sink>> lanes,
         const ReplayOptions& options)
      : from_(from), options_(options), random_(std::random_device{}()) {
    TW_CHECK(!lanes.empty());
    for (const auto& lane : lanes) targets_.emplace_back().sink = lane.get();
  }

  Result<ReplayReport> run();

 private:
  Result<void> go_through();
  Result<void> locate();
  Result<void> collect(const BatchView& batch);
  bool full() const;
  Result<void> deliver();
  Result<void> deliver(Target& target, bool moves);
  Result<void> deliver_piece(Target& target, PoisonSearch& search, bool moves);
  Result<void> refuse(const Target& target, PoisonSearch& search, const Error& reason);
  std::uint64_t delivered_below() const;
  std::uint64_t cursor_after(const Target& target) const;
  Target& target_of(const Record& record, const Record* before);

  journal::SegmentReader& from_;
  const ReplayOptions& options_;
  std::minstd_rand random_;
  std::vector<Target> targets_;
  std::vector<Record> records_;
  Target* unit_target_ = nullptr;  // of the record, or submission, that is being collected
  ReplayReport report_;
  unsigned refused_in_row_ = 0;  // units
};

Result<void> Replay::locate() {
  for (Target& target : targets_) {
    const auto cursor = target.sink->durable_cursor(options_.journal);
    if (!cursor) return std::unexpected(cursor.error());
    target.cursor = cursor->next_sequence;
  }
  return {};
}

/// By key, a submission whole to the lane of its first record. What a cursor says later does not
/// depend on it: none moves before all that was read is delivered, whatever lane it is of.
Target& Replay::target_of(const Record& record, const Record* before) {
  if (before == nullptr || pipeline::ends_between(*before, &record)) {
    unit_target_ = &targets_[record.attributes.key_hash % targets_.size()];
  }
  return *unit_target_;
}

/// A batch of the journal is never split: no submission is. One that `until` is in comes whole.
Result<void> Replay::collect(const BatchView& batch) {
  records_.clear();
  if (!journal::decode_batch(batch, records_)) {
    return fail(ErrorCode::corrupt, fmt::format("segment {:x}: offset {}: the batch holds no "
                                                "sequence of records",
                                                batch.head.segment, batch.head.offset));
  }
  const Record* before = nullptr;
  for (const Record& record : records_) {
    const bool begins = before == nullptr || pipeline::ends_between(*before, &record);
    if (record.sequence >= options_.until && begins) break;
    if (report_.first_sequence == 0) report_.first_sequence = record.sequence;
    Target& target = target_of(record, before);
    before = &record;
    if (target.batch.empty()) target.pending = record.sequence;
    target.batch.add(record);
    report_.next_sequence = record.sequence + 1;
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

/// `moves`: the cursor, too.
Result<void> Replay::deliver(Target& target, bool moves) {
  PoisonSearch search(target.batch.records(), piece_records);
  while (!search.piece().empty() || (moves && cursor_after(target) != target.cursor)) {
    if (auto done = deliver_piece(target, search, moves); !done) return done;
    const Records left = search.piece();
    target.pending = left.empty() ? 0 : left.front().sequence;
  }
  target.batch.clear();
  return {};
}

/// The cursor moves with the last piece.
Result<void> Replay::deliver_piece(Target& target, PoisonSearch& search, bool moves) {
  const Records piece = search.piece();
  for (unsigned attempt = 1;; ++attempt) {
    const std::uint64_t cursor = moves && search.last() ? cursor_after(target) : target.cursor;
    const auto done = target.sink->deliver(piece, Cursor{options_.journal, cursor});
    if (done) {
      target.cursor = cursor;
      search.taken();
      report_.records += piece.size();
      if (!piece.empty()) refused_in_row_ = 0;
      return {};
    }
    const bool refused = is_refusal(done.error().code) && !piece.empty();
    if (!refused && (!may_pass(done.error().code) || attempt == options_.attempts)) {
      return about(piece, done.error());
    }
    if (refused && target.sink->rolled_back()) return refuse(target, search, done.error());
    target.sink->reset();
    if (!refused) {
      const double chance = std::uniform_real_distribution<double>(0.0, 1.0)(random_);
      std::this_thread::sleep_for(resilience::backoff(options_.backoff, attempt, chance));
    }
    // A server may have moved it meanwhile.
    const auto now = target.sink->durable_cursor(options_.journal);
    if (now) target.cursor = now->next_sequence;
    if (refused) return refuse(target, search, done.error());
  }
}

/// Halves the piece, or sets aside what cannot be halved.
Result<void> Replay::refuse(const Target& target, PoisonSearch& search, const Error& reason) {
  if (!search.refused()) return {};
  const Records unit = search.piece();
  if (options_.dead_letters == nullptr) return about(unit, reason);
  if (options_.refusals_max > 0 && refused_in_row_ >= options_.refusals_max) {
    return about(unit, reason, "the sink refuses everything, so nothing more is set aside: ");
  }
  const auto stored = options_.dead_letters->store(
      unit, {.sink = target.sink->name(),
             .lane = static_cast<unsigned>(&target - targets_.data()),
             .code = reason.code,
             .text = reason.text,
             .at_ns = options_.unix_now_ns ? options_.unix_now_ns() : system_unix_ns()});
  if (!stored) return about(unit, stored.error(), "setting a dead letter aside: ");
  ++refused_in_row_;
  report_.refused += unit.size();
  if (options_.refused) options_.refused(unit, reason);
  search.set_aside();
  return {};
}

/// No cursor moves before the records of all lanes are there: which lane they are of, the server
/// may see otherwise, whose number of lanes has a history.
Result<void> Replay::deliver() {
  for (Target& target : targets_) {
    if (auto done = deliver(target, &target == &targets_.back()); !done) return done;
  }
  for (Target& target : targets_) {
    if (auto done = deliver(target, true); !done) return done;
  }
  return {};
}

/// Everything that was read before it is delivered or set aside; 0: nothing was read.
std::uint64_t Replay::delivered_below() const {
  std::uint64_t below = report_.next_sequence;
  for (const Target& target : targets_) {
    if (target.pending != 0) below = std::min(below, target.pending);
  }
  return below;
}

Result<void> Replay::go_through() {
  bool goes_on = true;
  while (goes_on && report_.next_sequence < options_.until) {
    const auto batch = from_.next();
    if (!batch) {
      // What was collected until then is good.
      if (auto done = deliver(); !done) return done;
      return std::unexpected(batch.error());
    }
    if (*batch == nullptr || (*batch)->head.first_sequence >= options_.until) break;
    if (auto collected = collect(**batch); !collected) return collected;
    if (!full()) continue;
    if (auto done = deliver(); !done) return done;
    if (options_.progress) goes_on = options_.progress(report_.next_sequence, report_.records);
  }
  return deliver();
}

Result<ReplayReport> Replay::run() {
  if (auto located = locate(); !located) return std::unexpected(located.error());
  for (const Target& target : targets_) report_.cursors_before.push_back(target.cursor);
  if (auto done = go_through(); !done) {
    if (report_.first_sequence == 0) return std::unexpected(done.error());
    return fail(done.error().code,
                fmt::format("{}; {} records were delivered and {} set aside, all before sequence "
                            "{}: go on with --from {}",
                            done.error().text, report_.records, report_.refused, delivered_below(),
                            delivered_below()));
  }
  for (const Target& target : targets_) report_.cursors_after.push_back(target.cursor);
  return std::move(report_);
}

}  // namespace

Result<ReplayReport> replay(journal::SegmentReader& from,
                            std::span<const std::unique_ptr<pipeline::Sink>> lanes,
                            const ReplayOptions& options) {
  return Replay(from, lanes, options).run();
}

Result<std::uint64_t> unit_begin(journal::SegmentReader& reader) {
  const auto batch = reader.next();
  if (!batch) return std::unexpected(batch.error());
  if (*batch == nullptr) return reader.next_sequence();
  const std::uint64_t from = (*batch)->from_sequence;
  BatchView whole = **batch;
  whole.from_sequence = whole.head.first_sequence;
  std::vector<Record> records;
  if (!journal::decode_batch(whole, records)) return from;  // the replay names it
  std::uint64_t begin = whole.head.first_sequence;
  for (std::size_t i = 1; i < records.size() && records[i].sequence <= from; ++i) {
    if (pipeline::ends_between(records[i - 1], &records[i])) begin = records[i].sequence;
  }
  return begin;
}

std::unique_ptr<journal::SegmentReader> joined(JoinedSources sources) {
  return std::make_unique<JoinedReader>(std::move(sources));
}

}  // namespace trialwire::archive
