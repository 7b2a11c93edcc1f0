// SPDX-License-Identifier: Apache-2.0
#include "pipeline/lane_delivery.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "pipeline/dead_letters.hpp"
#include "pipeline/sink_error.hpp"
#include "telemetry/log.hpp"

namespace trialwire::pipeline {
namespace {

using telemetry::LogLevel;

constexpr unsigned redelivered_at_once = 100;  // then what is new comes first again

/// Of a submission this lane has but a part: those of other keys went to other partitions.
bool is_part(std::span<const journal::Record> unit) {
  const journal::RecordAttributes& first = unit.front().attributes;
  return first.submission != Uuid{} && unit.size() < first.submission_count;
}

}  // namespace

bool LaneDelivery::refuses(const Error& error) const noexcept {
  return core_.options.dead_letters != nullptr && core_.options.sets_aside &&
         is_refusal(error.code);
}

/// A database that is slow, or slow today, must not get the same again for ever. Pieces grow back
/// with what it takes.
void LaneDelivery::took_too_long(std::size_t records, PoisonSearch& search) noexcept {
  at_once_ = std::max({records / 2, core_.options.batch_records, std::size_t{1}});
  search.limit(at_once_);
}

Result<void> LaneDelivery::attempt(Records records, const journal::Cursor& cursor) {
  core_.refresh_lag();
  auto began = Clock::now();
  Result<void> done = core_.sink->deliver(records, cursor);
  if (!done) {
    const bool refused = is_refusal(done.error().code) && core_.sink->rolled_back();
    if (!refused) core_.tried.insert(cursor.next_sequence);
    return done;
  }
  if (!records.empty()) {
    const Clock::duration took = Clock::now() - began;
    core_.pace.delivered(records.size(), took);
    core_.metrics.deliver_seconds.observe(std::chrono::duration<double>(took).count());
    core_.metrics.batch_records.observe(static_cast<double>(records.size()));
    core_.metrics.delivered.add(records.size());
  }
  return done;
}

/// The sink has `records`, and stands at `cursor`.
void LaneDelivery::advance(Records records, const journal::Cursor& cursor) {
  core_.hold(cursor);
  core_.durable = cursor;
  core_.said = cursor.next_sequence;
  core_.bound = std::max(core_.bound, core_.said);
  core_.tried.clear();
  core_.stored = core_.heard = Clock::now();
  if (!records.empty()) {
    core_.durable_received_ns = records.back().attributes.received_ns;
    refused_in_row_ = 0;
  }
  core_.succeeded();
}

LaneDelivery::Outcome LaneDelivery::deliver(const std::stop_token& stop) {
  PoisonSearch search(core_.batch.records(), core_.options.batch_records);
  search.limit(at_once_);
  if (!core_.batch.empty()) {
    core_.metrics.batch_bytes.observe(static_cast<double>(core_.batch.bytes()));
  }
  do {
    if (Outcome outcome = deliver_piece(search, stop); outcome != Outcome::done) return outcome;
  } while (core_.said != core_.taken.next_sequence);
  core_.batch.clear();
  // Last: who sees it may rely on the metrics.
  core_.reach(core_.durable.next_sequence);
  return Outcome::done;
}

/// One attempt and what follows from it. The sink's cursor behind a piece is the sequence after its
/// last record: what lies between that and the next piece is not this lane's.
LaneDelivery::Outcome LaneDelivery::deliver_piece(PoisonSearch& search,
                                                  const std::stop_token& stop) {
  Records piece = search.piece();
  journal::Cursor behind = core_.taken;
  if (!search.last()) behind.next_sequence = piece.back().at() + 1;
  Result<void> done = attempt(piece, behind);
  if (done) {
    advance(piece, behind);
    search.taken();
    if (piece.size() >= at_once_) at_once_ += at_once_ / 4 + 1;
    return Outcome::done;
  }
  if (!refuses(done.error()) || piece.empty()) {
    core_.failed(done.error(), "delivering");
    if (done.error().code == ErrorCode::deadline_exceeded) took_too_long(piece.size(), search);
    return recover(stop, false);
  }
  if (Outcome outcome = after_refusal(stop); outcome != Outcome::done) return outcome;
  if (!search.refused()) return Outcome::done;
  const unsigned most = core_.options.refusals_max;
  if (most > 0 && refused_in_row_ >= most) {
    core_.failed(done.error(), "delivering: it refuses everything, so nothing more is set aside",
                 true);
    core_.pause_after_failure(stop);
    return stop.stop_requested() ? Outcome::stopped : Outcome::done;
  }
  if (!set_aside(piece, done.error(), stop)) return Outcome::stopped;
  ++refused_in_row_;
  search.set_aside();
  return Outcome::done;
}

/// Durable among the dead letters, however long that takes; false: stopped before.
bool LaneDelivery::set_aside(Records unit, const Error& reason, const std::stop_token& stop) {
  const Refusal refusal{.sink = core_.sink->name(),
                        .lane = core_.options.lane,
                        .code = reason.code,
                        .text = reason.text,
                        .at_ns = core_.options.unix_now_ns()};
  while (true) {
    Result<void> stored = core_.options.dead_letters->store(unit, refusal);
    if (stored) break;
    core_.failed(stored.error(), "setting a dead letter aside", true);
    core_.pause_after_failure(stop);
    if (stop.stop_requested()) return false;
  }
  core_.metrics.dead_letters.add(unit.size());
  if (is_part(unit)) {
    core_.metrics.dead_letter_parts.add(unit.size());
    const std::string submission = unit.front().attributes.submission.text();
    telemetry::log(LogLevel::warn, "pipeline",
                   "what is set aside is a part of a submission: the others are judged apart",
                   {{"sink", core_.consumer},
                    {"submission", std::string_view(submission)},
                    {"records", std::uint64_t{unit.size()}},
                    {"of", std::uint64_t{unit.front().attributes.submission_count}}});
  }
  telemetry::log(LogLevel::warn, "pipeline", "a sink refuses records: set aside as dead letters",
                 {{"sink", core_.consumer},
                  {"sequence", unit.front().sequence},
                  {"records", std::uint64_t{unit.size()}},
                  {"code", traits(reason.code).label},
                  {"reason", std::string_view(reason.text)}});
  return true;
}

/// After an error: done when the sink answers and is still where it was. It is not when the
/// destination was replaced meanwhile, or had stored what it said it could not.
LaneDelivery::Outcome LaneDelivery::recover(const std::stop_token& stop, bool at_once) {
  while (true) {
    core_.sink->reset();
    if (!at_once && !stop.stop_requested()) core_.pause_after_failure(stop);
    at_once = false;
    if (stop.stop_requested()) return Outcome::stopped;
    auto cursor = core_.sink->durable_cursor(core_.durable.journal);
    if (!cursor) {
      core_.failed(cursor.error(), "asking the sink where it is");
      continue;
    }
    return compare(*cursor);
  }
}

/// A sink that has rolled back is where it was: where it is not, the next delivery meets a
/// conflict.
LaneDelivery::Outcome LaneDelivery::after_refusal(const std::stop_token& stop) {
  if (!core_.sink->rolled_back()) return recover(stop, true);
  return stop.stop_requested() ? Outcome::stopped : Outcome::done;
}

/// What the sink says now with what it said last.
LaneDelivery::Outcome LaneDelivery::compare(const journal::Cursor& found) {
  core_.heard = Clock::now();
  if (found.next_sequence == core_.said) return Outcome::done;
  telemetry::log(
      LogLevel::warn, "pipeline", "the sink is not where it was: was it replaced?",
      {{"sink", core_.consumer}, {"was_at", core_.said}, {"is_at", found.next_sequence}});
  return Outcome::moved;
}

LaneDelivery::Outcome LaneDelivery::check_idle(const std::stop_token& stop) {
  const auto after = core_.options.idle_check;
  if (after.count() == 0 || !core_.located || !core_.batch.empty()) return Outcome::done;
  if (Clock::now() - core_.heard < after || stop.stop_requested()) return Outcome::done;
  const auto cursor = core_.sink->durable_cursor(core_.durable.journal);
  if (cursor) return compare(*cursor);
  core_.failed(cursor.error(), "asking the idle sink where it is");
  const Outcome outcome = recover(stop, false);
  if (outcome != Outcome::stopped) core_.succeeded();
  return outcome;
}

LaneDelivery::Outcome LaneDelivery::redeliver_asked(const std::stop_token& stop) {
  DeadLetters* letters = core_.options.dead_letters;
  if (letters == nullptr || !core_.options.redelivers || !core_.located) return Outcome::done;
  if (Clock::now() - looked_ < core_.options.retry_look) return Outcome::done;
  looked_ = Clock::now();
  for (unsigned n = 0; n < redelivered_at_once && !stop.stop_requested(); ++n) {
    auto next = letters->next_asked(core_.sink->name(), unit_);
    if (!next && !std::exchange(letters_fail_, true)) {
      telemetry::log(LogLevel::error, "pipeline", "the dead letters cannot be read",
                     {{"sink", core_.consumer}, {"error", std::string_view(next.error().text)}});
    }
    if (!next || unit_.empty()) break;
    letters_fail_ = false;
    Outcome outcome = redeliver(unit_.records(), stop);
    if (outcome != Outcome::done) return outcome;
  }
  unit_.clear();
  return Outcome::done;
}

/// The cursor that the sink has is stored again with it: what follows is not touched by this.
LaneDelivery::Outcome LaneDelivery::redeliver(Records unit, const std::stop_token& stop) {
  const journal::Cursor here{core_.durable.journal, core_.said};
  Result<void> done = attempt(unit, here);
  if (!done && !refuses(done.error())) {
    core_.failed(done.error(), "delivering a dead letter");
    Outcome outcome = recover(stop, false);
    // It is asked for still; what is new does not wait for it.
    return outcome == Outcome::done ? Outcome::stopped : outcome;
  }
  if (!done) {
    if (Outcome outcome = after_refusal(stop); outcome != Outcome::done) return outcome;
    return set_aside(unit, done.error(), stop) ? Outcome::done : Outcome::stopped;
  }
  core_.succeeded();
  auto noted =
      core_.options.dead_letters->delivered(unit, core_.sink->name(), core_.options.unix_now_ns());
  telemetry::log(noted ? LogLevel::info : LogLevel::error, "pipeline",
                 noted ? "a dead letter is delivered"
                       : "a dead letter is delivered, which could not be noted: it comes again",
                 {{"sink", core_.consumer},
                  {"sequence", unit.front().sequence},
                  {"records", std::uint64_t{unit.size()}}});
  return noted ? Outcome::done : Outcome::stopped;
}

}  // namespace trialwire::pipeline
