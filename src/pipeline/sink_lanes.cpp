// SPDX-License-Identifier: Apache-2.0
#include "pipeline/sink_lanes.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "pipeline/lane_metrics.hpp"
#include "telemetry/log.hpp"

namespace trialwire::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t file_bytes_max = 64 << 10;

bool is_there(const fs::path& file, journal::FileLayer& files) {
  auto names = files.list(file.parent_path());
  return names && std::ranges::find(*names, file.filename().string()) != names->end();
}

Result<std::string> read_whole(const fs::path& path, journal::FileLayer& files) {
  auto file = files.open(path, journal::OpenMode::read, false);
  if (!file) return std::unexpected(file.error());
  auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  std::string text(std::min(*size, file_bytes_max), '\0');
  MutableBytes into = std::as_writable_bytes(std::span(text.data(), text.size()));
  if (auto read = (*file)->read_at(0, into); !read) return std::unexpected(read.error());
  return text;
}

/// Atomically, and durable when it returns.
Result<void> write_whole(const fs::path& path, std::string_view text, journal::FileLayer& files) {
  if (auto made = files.create_directory(path.parent_path()); !made) return made;
  const fs::path temporary = path.native() + ".tmp";
  static_cast<void>(files.remove(temporary));
  auto file = files.open(temporary, journal::OpenMode::create_new, false);
  if (!file) return std::unexpected(file.error());
  Result<void> done = (*file)->write_and_sync(0, as_bytes(text));
  file->reset();
  if (done) done = files.rename(temporary, path);
  if (done) done = files.sync_directory(path.parent_path());
  return done;
}

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
      files_(files) {}

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
  if (count > 1) gate_ = std::make_unique<LaneGate>(std::move(*schedule));
  for (unsigned lane = 0; lane < count; ++lane) {
    LaneOptions each = options_.each;
    if (!options_.reached_file.empty()) each.on_durable = [this] { note_now_and_then(); };
    each.lane = lane;
    each.redelivers = lane == 0;
    each.gate = gate_.get();
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
  return {};
}

void SinkLanes::request_stop() {
  for (auto& lane : lanes_) lane->request_stop();
}

void SinkLanes::stop() {
  request_stop();
  for (auto& lane : lanes_) lane->stop();
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
