// SPDX-License-Identifier: Apache-2.0
#include "pipeline/lane_reader.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "pipeline/cursor_bounds.hpp"
#include "pipeline/dead_letters.hpp"
#include "pipeline/lane_gate.hpp"
#include "pipeline/record_batch.hpp"
#include "telemetry/log.hpp"

namespace trialwire::pipeline {
namespace {

using std::chrono::milliseconds;
using telemetry::LogLevel;

constexpr milliseconds idle_wait{1'000};   // then the gauges are refreshed
constexpr milliseconds barrier_wait{250};  // likewise

/// Without a record; then whoever has something else to do may do it.
milliseconds longest_wait(const LaneOptions& options) {
  return options.idle_check.count() == 0 ? idle_wait : std::min(idle_wait, options.idle_check);
}

BatchLimits batch_limits(const LaneOptions& options) {
  return {.records = options.batch_records,
          .delay = options.batch_delay,
          .records_max = options.batch_records_max,
          .bytes_max = options.batch_bytes_max,
          .delivery_interval = options.delivery_interval,
          .kinds = options.kinds};
}

/// The record and those of the same submission behind it.
std::span<const journal::Record> unit_at(std::span<const journal::Record> records,
                                         std::size_t index) {
  std::size_t end = index + 1;
  while (end < records.size() && !ends_between(records[end - 1], &records[end])) ++end;
  return records.subspan(index, end - index);
}

}  // namespace

LaneReader::LaneReader(LaneCore& core) : core_(core), rule_(batch_limits(core.options)) {}

/// Sets `durable` to where the sink says it is, or to the oldest record that is left.
Result<void> LaneReader::locate() {
  const Uuid id = core_.journal.begin().journal;
  Result<journal::Cursor> cursor = core_.sink->durable_cursor(id);
  if (!cursor) return std::unexpected(cursor.error());
  if (core_.tried.contains(cursor->next_sequence)) {
    core_.bound = std::max(core_.bound, cursor->next_sequence);
  }
  if (cursor->next_sequence > core_.bound) return refuse(*cursor);
  core_.refused = false;
  if (core_.options.bounds != nullptr) {
    if (auto found = core_.options.bounds->found(core_.options.lane); !found) return found;
  }
  if (auto asked = ask_for_letters(cursor->next_sequence); !asked) return asked;
  core_.answered = true;
  core_.said = cursor->next_sequence;
  std::uint64_t from = core_.said;
  if (core_.options.gate != nullptr) {
    from = std::max(from, core_.options.gate->schedule().first_of(core_.options.lane));
  }
  core_.durable = {id, from};
  // First held, then looked for: it must not be deleted in between.
  if (from < core_.held) core_.hold(core_.durable);
  journal::Cursor begin = core_.journal.begin();
  if (from < begin.next_sequence) core_.durable = begin;
  core_.taken = core_.durable;
  return {};
}

/// Nothing is delivered: what the sink has before its cursor is of another history.
Result<void> LaneReader::refuse(const journal::Cursor& found) {
  core_.refused = true;
  if (core_.options.bounds != nullptr) {
    core_.options.bounds->exceeded(core_.options.lane, core_.bound);
  }
  if (const auto read = core_.journal.read(found);
      !read && read.error().code == ErrorCode::corrupt) {
    return fail(ErrorCode::corrupt,
                fmt::format("cursor of sink {}: {}", core_.consumer, read.error().text));
  }
  return fail(ErrorCode::corrupt,
              fmt::format("cursor of sink {}: it is at sequence {} of journal {}, of which it can "
                          "have no more than what is before {}: was the data directory, or the "
                          "database, restored from another time? `trialwire replay --from {}`, "
                          "with the server stopped, brings what is behind that",
                          core_.consumer, found.next_sequence, found.journal.text(), core_.bound,
                          core_.bound));
}

/// A sink that went back may lack dead letters, too, that were delivered to it meanwhile: the
/// journal's records from there on do not bring them. At a start only the note of where it was says
/// so, which for several lanes may be ahead of what each has stored.
Result<void> LaneReader::ask_for_letters(std::uint64_t found) {
  const LaneOptions& options = core_.options;
  const bool went_back =
      core_.answered ? found < core_.said : options.gate == nullptr && found < core_.held;
  if (!went_back || options.dead_letters == nullptr) return {};
  const auto asked = options.dead_letters->ask_again(core_.sink->name());
  if (!asked) return std::unexpected(asked.error());
  if (*asked == 0) return {};
  telemetry::log(LogLevel::warn, "pipeline",
                 "the sink went back: delivered dead letters are asked for again",
                 {{"sink", core_.consumer}, {"records", *asked}});
  return {};
}

void LaneReader::records_missing(std::uint64_t from) {
  core_.metrics.missing.add(core_.durable.next_sequence - from);
  telemetry::log(LogLevel::warn, "pipeline",
                 from == 1 ? "the sink has nothing of this journal, whose oldest records are gone"
                           : "the sink lacks records that are gone from the journal",
                 {{"sink", core_.consumer},
                  {"missing_from", from},
                  {"missing_to", core_.durable.next_sequence - 1}});
}

/// What a repair of the journal declared lost. Told once, however often it is read.
void LaneReader::pass_gap(const journal::Batch& read) {
  if (read.records.empty()) {
    core_.taken.next_sequence = read.lost_to;
    if (core_.batch.empty()) core_.reach(read.lost_to);
  }
  if (read.lost_to <= gap_told_) return;
  gap_told_ = read.lost_to;
  core_.metrics.missing.add(read.lost_to - read.lost_from);
  telemetry::log(LogLevel::warn, "pipeline",
                 "the sink goes on behind records that a repair of the journal declared lost",
                 {{"sink", core_.consumer},
                  {"missing_from", read.lost_from},
                  {"missing_to", read.lost_to - 1}});
}

Result<void> LaneReader::open() {
  if (!core_.located) {
    if (auto done = locate(); !done) return done;
  }
  auto opened = core_.journal.read(core_.taken);
  if (!opened) {
    // What it was to read next is gone: its place is looked for once more.
    if (opened.error().code == ErrorCode::not_found && core_.batch.empty()) core_.located = false;
    // A source that others read, too, and that ends before it: so is the sink's word.
    if (opened.error().code == ErrorCode::corrupt && !core_.options.delivers_alone) start_over();
    return fail(opened.error().code,
                fmt::format("cursor of sink {}: {}", core_.consumer, opened.error().text));
  }
  reader_ = std::move(*opened);
  pending_ = nullptr;
  barrier_.reset();
  if (core_.located) return {};
  core_.located = true;
  span_entered_ = 0;
  std::uint64_t from = core_.said;
  if (core_.options.gate != nullptr) {
    from = std::max(from, core_.options.gate->schedule().first_of(core_.options.lane));
  }
  if (from < core_.durable.next_sequence) records_missing(from);
  core_.hold(core_.durable);
  if (core_.options.gate != nullptr) core_.options.gate->begins_at(core_.durable.next_sequence);
  core_.reach(core_.durable.next_sequence);
  core_.stored = core_.heard = Clock::now();
  core_.metrics.state(LaneState::running);
  return {};
}

void LaneReader::start_over() {
  core_.batch.clear();
  pending_ = nullptr;
  reader_.reset();
  alone_ = false;
  barrier_.reset();
  core_.located = false;
  core_.reach(0);
}

bool LaneReader::passes(const Barrier& barrier) {
  LaneGate& gate = *core_.options.gate;
  bool passes = barrier.owner ? gate.has_reached(*barrier.owner, barrier.sequence)
                              : gate.others_reached(core_.options.lane, barrier.sequence);
  barrier_ = passes ? std::nullopt : std::optional(barrier);
  return passes;
}

LaneReader::Unit LaneReader::judge(std::span<const journal::Record> unit) {
  if (core_.options.gate == nullptr) return Unit::mine;
  const LaneSchedule& schedule = core_.options.gate->schedule();
  const std::uint64_t first = unit.front().sequence;
  const LaneSpan& span = schedule.span_of(first);
  if (span.from != span_entered_) {
    // All lanes have what came before their number changed: a key's records stay in order.
    bool changed = span != schedule.spans().front();
    if (changed && (!core_.batch.empty() || !passes({span.from, std::nullopt}))) {
      return Unit::barrier;
    }
    span_entered_ = span.from;
  }
  const unsigned owner = unit.front().attributes.key_hash % span.lanes;
  bool mixed = std::ranges::any_of(unit, [&](const journal::Record& record) {
    return record.attributes.key_hash % span.lanes != owner;
  });
  const bool mine = owner == core_.options.lane;
  if (!mixed) return mine ? Unit::mine : Unit::foreign;
  if (mine) {
    if (!core_.batch.empty() || !passes({first, std::nullopt})) return Unit::barrier;
    alone_ = true;
    return Unit::mine;
  }
  const Barrier behind{unit.back().sequence + 1, owner};
  if (core_.options.gate->has_reached(owner, behind.sequence)) return Unit::foreign;
  if (!core_.batch.empty() || !passes(behind)) return Unit::barrier;
  return Unit::foreign;
}

/// Takes this lane's records out of what was read; true when all of it is taken or passed over.
bool LaneReader::take_pending(bool small) {
  const std::vector<journal::Record>& records = pending_->records;
  const Clock::time_point now = Clock::now();
  barrier_.reset();
  while (pending_index_ < records.size()) {
    auto unit = unit_at(records, pending_index_);
    core_.taken.next_sequence = unit.front().at();
    Unit kind = judge(unit);
    bool no_more = !core_.batch.empty() && rule_.full(small);
    if (kind == Unit::barrier || (kind == Unit::mine && no_more)) break;
    if (kind == Unit::mine) {
      for (const journal::Record& record : unit) {
        core_.batch.add(record);
        rule_.add(record, core_.batch.bytes(), now);
      }
    }
    core_.taken.next_sequence = unit.back().at() + 1;
    pending_index_ += unit.size();
    if (alone_) break;
  }
  // With nothing of its own to deliver, what was passed over is behind it.
  if (core_.batch.empty()) core_.reach(core_.taken.next_sequence);
  if (pending_index_ < records.size()) return false;
  pending_ = nullptr;
  return true;
}

bool LaneReader::collect(bool small, const std::function<void()>& on_first,
                         const std::stop_token& stop) {
  rule_.clear();
  alone_ = false;
  while (true) {
    if (pending_ == nullptr) {
      auto read =
          reader_->next(core_.batch.empty() ? longest_wait(core_.options) : milliseconds(0), stop);
      if (!read) {
        core_.failed(read.error(), "reading the journal");
        reader_.reset();
        return false;
      }
      if ((*read)->lost_from < (*read)->lost_to) pass_gap(**read);
      if (!(*read)->records.empty()) {
        pending_ = *read;
        pending_index_ = 0;
      }
    }
    const milliseconds look_again = std::max(core_.options.delivery_interval, milliseconds(1));
    if (pending_ != nullptr) {
      if (core_.batch.empty()) on_first();
      if (!take_pending(small) || rule_.full(small) || alone_) return true;
      if (core_.batch.empty()) {
        if (cursor_is_due()) return true;
        core_.pause(std::min(look_again, core_.options.batch_delay), stop);
      }
      continue;
    }
    if (core_.batch.empty() || stop.stop_requested()) return true;
    Clock::duration left = rule_.due(last_delivery_) - Clock::now();
    if (left <= Clock::duration::zero()) return true;
    core_.pause(std::min(rounded_up(left), look_again), stop);
  }
}

void LaneReader::wait_at_barrier(const std::stop_token& stop) {
  if (!waits() || !core_.batch.empty()) return;
  LaneGate& gate = *core_.options.gate;
  core_.reach(core_.taken.next_sequence);
  if (barrier_->owner) {
    gate.wait_for(*barrier_->owner, barrier_->sequence, barrier_wait, stop);
  } else {
    gate.wait_for_others(core_.options.lane, barrier_->sequence, barrier_wait, stop);
  }
}

bool LaneReader::cursor_is_due() const noexcept {
  return core_.located && core_.batch.empty() && core_.said < core_.taken.next_sequence &&
         Clock::now() - core_.stored >= core_.options.cursor_interval;
}

bool LaneReader::is_retired() const noexcept {
  return core_.options.gate != nullptr && core_.located && core_.batch.empty() &&
         !core_.options.gate->schedule().has_from(core_.options.lane, core_.taken.next_sequence);
}

}  // namespace trialwire::pipeline
