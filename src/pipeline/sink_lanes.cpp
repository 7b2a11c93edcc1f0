// SPDX-License-Identifier: Apache-2.0
#include "pipeline/sink_lanes.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "pipeline/lane_metrics.hpp"
#include "pipeline/small_file.hpp"
#include "telemetry/log.hpp"

namespace trialwire::pipeline {
namespace {

namespace fs = std::filesystem;

}  // namespace

Result<LaneSchedule> read_lane_schedule(const fs::path& file, const Uuid& journal,
                                        journal::FileLayer& files) {
  if (file.empty() || !is_there(file, files)) return LaneSchedule();
  auto text = read_whole(file, files);
  if (!text) return std::unexpected(text.error());
  auto parsed = LaneSchedule::parse(*text);
  if (!parsed) {
    return fail(ErrorCode::corrupt,
                fmt::format("{}: {}; without it nobody knows which lane a record is of",
                            file.string(), parsed.error().text));
  }
  return parsed->journal == journal ? parsed->schedule : LaneSchedule();
}

std::uint64_t read_reached(const fs::path& file, const Uuid& journal, journal::FileLayer& files) {
  if (file.empty() || !is_there(file, files)) return 0;
  auto text = read_whole(file, files);
  if (!text) return 0;
  const std::string head = fmt::format("journal {}\n", journal.text());
  std::uint64_t sequence = 0;
  if (!text->starts_with(head)) return 0;
  std::from_chars(text->data() + head.size(), text->data() + text->size(), sequence);
  return sequence;
}

SinkLanes::SinkLanes(SinkLanesOptions options, journal::Journal& journal, MakeSink make_sink,
                     telemetry::Registry& metrics, journal::FileLayer& files)
    : options_(std::move(options)),
      journal_(journal),
      make_sink_(std::move(make_sink)),
      metrics_(metrics),
      files_(files),
      bounds_(options_.bounds_file, files) {}

SinkLanes::~SinkLanes() {
  stop();
}

Result<LaneSchedule> SinkLanes::decide() {
  const journal::Cursor end = journal_.end();
  auto stored = read_lane_schedule(options_.schedule_file, end.journal, files_);
  if (!stored) return stored;
  LaneSchedule schedule = *stored;
  if (const LaneSpan& last = schedule.spans().back(); last.from > end.next_sequence) {
    return fail(ErrorCode::corrupt,
                fmt::format("{}: it says {} lanes from sequence {} on, but journal {} ends at {}: "
                            "one of the two was restored from an older copy",
                            options_.schedule_file.string(), last.lanes, last.from,
                            end.journal.text(), end.next_sequence));
  }
  if (!options_.schedule_file.empty()) schedule.change(end.next_sequence, options_.lanes);
  if (schedule == *stored) return schedule;
  if (auto written = write_whole(options_.schedule_file, schedule.text(end.journal), files_);
      !written) {
    return std::unexpected(written.error());
  }
  telemetry::log(telemetry::LogLevel::info, "pipeline", "the number of a sink's lanes changes",
                 {{"file", options_.schedule_file.string()},
                  {"lanes", std::uint64_t{options_.lanes}},
                  {"from_sequence", end.next_sequence}});
  return schedule;
}

std::uint64_t SinkLanes::noted() const {
  const journal::Cursor end = journal_.end();
  return std::min(read_reached(options_.reached_file, end.journal, files_), end.next_sequence);
}

void SinkLanes::note_now_and_then() {
  std::lock_guard lock(note_mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - noted_at_ < options_.reached_interval) return;
  noted_at_ = now;
  note();
}

void SinkLanes::note() {
  const std::uint64_t reached = next_sequence();
  if (options_.reached_file.empty() || reached <= 1 || reached == noted_) return;
  auto text = fmt::format("journal {}\n{}\n", journal_.end().journal.text(), reached);
  // Only a note: without it everything is held back for a while.
  if (write_whole(options_.reached_file, text, files_)) noted_ = reached;
}

Result<void> SinkLanes::prepare() {
  auto schedule = decide();
  if (!schedule) return std::unexpected(schedule.error());
  const unsigned count = schedule->lanes_max();
  if (auto loaded = bounds_.load(journal_.end(), count); !loaded) return loaded;
  if (count > 1) gate_ = std::make_unique<LaneGate>(std::move(*schedule));
  for (unsigned lane = 0; lane < count; ++lane) {
    LaneOptions each = options_.each;
    if (!options_.reached_file.empty()) each.on_durable = [this] { note_now_and_then(); };
    each.lane = lane;
    each.redelivers = lane == 0;
    each.gate = gate_.get();
    each.bounds = &bounds_;
    lanes_.push_back(std::make_unique<Lane>(std::move(each), journal_, make_sink_(lane), metrics_));
  }
  observe_lanes();
  journal::Cursor from = journal_.begin();
  from.next_sequence = std::max(from.next_sequence, noted());
  for (auto& lane : lanes_) lane->hold(from);
  noted_at_ = std::chrono::steady_clock::now();
  return {};
}

void SinkLanes::observe_lanes() {
  std::vector<std::shared_ptr<const LaneLag>> lags;  // a scrape may outlive the lanes
  for (const auto& lane : lanes_) lags.push_back(lane->lag());
  const auto most = [lags](double (LaneLag::*of)() const) {
    double found = std::numeric_limits<double>::quiet_NaN();
    for (const auto& lag : lags) found = std::fmax(found, ((*lag).*of)());
    return found;
  };
  observe_lacking(
      metrics_, lanes_.front()->sink_name(), [most] { return most(&LaneLag::records); },
      [most] { return most(&LaneLag::bytes); });
}

Result<void> SinkLanes::start() {
  if (lanes_.empty()) {
    if (auto prepared = prepare(); !prepared) return prepared;
  }
  for (auto& lane : lanes_) {
    if (auto started = lane->start(); !started) return started;
  }
  bounds_.started();
  return {};
}

void SinkLanes::request_stop() {
  for (auto& lane : lanes_) lane->request_stop();
}

void SinkLanes::stop() {
  request_stop();
  for (auto& lane : lanes_) lane->stop();
  if (!lanes_.empty()) bounds_.ended(journal_.end());
  std::lock_guard lock(note_mutex_);
  note();
}

std::uint64_t SinkLanes::next_sequence() const noexcept {
  std::uint64_t least = lanes_.empty() ? 0 : UINT64_MAX;
  for (const auto& lane : lanes_) least = std::min(least, lane->next_sequence());
  return least;
}

std::string SinkLanes::trouble() const {
  for (const auto& lane : lanes_) {
    if (std::string trouble = lane->trouble(); !trouble.empty()) return trouble;
  }
  return {};
}

}  // namespace trialwire::pipeline
