// SPDX-License-Identifier: Apache-2.0
#include "pipeline/cursor_bounds.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "pipeline/lane_schedule.hpp"
#include "pipeline/small_file.hpp"
#include "telemetry/log.hpp"

namespace trialwire::pipeline {
namespace {

namespace fs = std::filesystem;
using ByLane = CursorBounds::ByLane;

/// "LANE SEQUENCE".
bool parse_bound(std::string_view line, ByLane& into) {
  unsigned lane = 0;
  std::uint64_t sequence = 0;
  const char* end = line.data() + line.size();
  const auto first = std::from_chars(line.data(), end, lane);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != ' ') return false;
  const auto second = std::from_chars(first.ptr + 1, end, sequence);
  if (second.ec != std::errc{} || second.ptr != end) return false;
  return lane < lanes_limit && sequence > 0 && into.emplace(lane, sequence).second;
}

}  // namespace

Result<ByLane> read_cursor_bounds(const fs::path& file, const Uuid& journal,
                                  journal::FileLayer& files) {
  ByLane bounds;
  if (file.empty() || !is_there(file, files)) return bounds;
  const auto text = read_whole(file, files);
  if (!text) return std::unexpected(text.error());
  std::string_view rest = *text;
  for (int number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (number == 1 && line.starts_with("journal ")) {
      if (line.substr(8) != journal.text()) return ByLane{};
      continue;
    }
    if (number == 1 || !parse_bound(line, bounds)) {
      return fail(ErrorCode::corrupt,
                  fmt::format("{}: line {} is no place of a sink", file.string(), number));
    }
  }
  return bounds;
}

Result<void> remove_cursor_bounds(const fs::path& file, journal::FileLayer& files) {
  if (file.empty() || !is_there(file, files)) return {};
  if (auto removed = files.remove(file); !removed) return removed;
  return files.sync_directory(file.parent_path());
}

CursorBounds::CursorBounds(fs::path file, journal::FileLayer& files)
    : file_(std::move(file)), files_(files) {}

Result<void> CursorBounds::load(const journal::Cursor& end, unsigned lanes) {
  journal_ = end.journal;
  auto stored = read_cursor_bounds(file_, journal_, files_);
  if (!stored) return std::unexpected(stored.error());
  stored_ = !stored->empty();
  for (unsigned lane = 0; lane < lanes; ++lane) {
    const auto bound = stored->find(lane);
    bounds_[lane] = end.next_sequence;
    if (bound == stored->end()) continue;
    bounds_[lane] = std::min(bound->second, end.next_sequence);
    open_.insert(lane);
  }
  return {};
}

std::uint64_t CursorBounds::of(unsigned lane) const {
  const std::lock_guard lock(mutex_);
  return bounds_.at(lane);
}

Result<void> CursorBounds::found(unsigned lane) {
  const std::lock_guard lock(mutex_);
  found_.insert(lane);
  if (open_.erase(lane) == 0 || !stored_) return {};
  auto written = write_locked();
  if (!written) open_.insert(lane);
  return written;
}

void CursorBounds::exceeded(unsigned lane, std::uint64_t bound) {
  const std::lock_guard lock(mutex_);
  found_.insert(lane);  // it has answered
  if (!open_.insert(lane).second && bounds_[lane] == bound && stored_) return;
  bounds_[lane] = bound;
  store_locked();
}

void CursorBounds::started() {
  const std::lock_guard lock(mutex_);
  bool more = false;
  for (const auto& [lane, bound] : bounds_) {
    if (!found_.contains(lane)) more = open_.insert(lane).second || more;
  }
  if (more) store_locked();
}

void CursorBounds::ended(const journal::Cursor& end) {
  const std::lock_guard lock(mutex_);
  const auto erased =
      std::erase_if(open_, [&](unsigned lane) { return bounds_[lane] >= end.next_sequence; });
  if (erased > 0) store_locked();
}

void CursorBounds::store_locked() {
  if (auto written = write_locked(); !written) {
    telemetry::log(telemetry::LogLevel::warn, "pipeline",
                   "up to where a sink can be is not noted: the next start will not know it",
                   {{"file", file_.string()}, {"error", std::string_view(written.error().text)}});
  }
}

Result<void> CursorBounds::write_locked() {
  if (file_.empty()) return {};
  if (open_.empty()) {
    auto removed = remove_cursor_bounds(file_, files_);
    if (removed) stored_ = false;
    return removed;
  }
  std::string text = fmt::format("journal {}\n", journal_.text());
  for (const unsigned lane : open_) text += fmt::format("{} {}\n", lane, bounds_[lane]);
  auto written = write_whole(file_, text, files_);
  if (written) stored_ = true;
  return written;
}

}  // namespace trialwire::pipeline
