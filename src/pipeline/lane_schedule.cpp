// SPDX-License-Identifier: Apache-2.0
#include "pipeline/lane_schedule.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/check.hpp"

namespace trialwire::pipeline {
namespace {

constexpr std::string_view head = "journal ";

std::string_view take_line(std::string_view& text) {
  std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::optional<LaneSpan> parse_span(std::string_view line) {
  LaneSpan span;
  const char* end = line.data() + line.size();
  auto from = std::from_chars(line.data(), end, span.from);
  if (from.ec != std::errc{} || from.ptr == end || *from.ptr != ' ') return std::nullopt;
  auto lanes = std::from_chars(from.ptr + 1, end, span.lanes);
  if (lanes.ec != std::errc{} || lanes.ptr != end) return std::nullopt;
  if (span.from == 0 || span.lanes == 0 || span.lanes > lanes_limit) return std::nullopt;
  return span;
}

}  // namespace

const LaneSpan& LaneSchedule::span_of(std::uint64_t sequence) const noexcept {
  std::size_t at = spans_.size() - 1;
  while (at > 0 && spans_[at].from > sequence) --at;
  return spans_[at];
}

unsigned LaneSchedule::lanes_max() const noexcept {
  return std::ranges::max(spans_, {}, &LaneSpan::lanes).lanes;
}

std::uint64_t LaneSchedule::first_of(unsigned lane) const noexcept {
  if (spans_.front().lanes > lane) return 1;
  auto found = std::ranges::find_if(spans_, [&](const LaneSpan& one) { return one.lanes > lane; });
  return found == spans_.end() ? UINT64_MAX : found->from;
}

bool LaneSchedule::has_from(unsigned lane, std::uint64_t sequence) const noexcept {
  for (std::size_t i = 0; i < spans_.size(); ++i) {
    bool over = i + 1 < spans_.size() && spans_[i + 1].from <= sequence;
    if (!over && spans_[i].lanes > lane) return true;
  }
  return false;
}

void LaneSchedule::change(std::uint64_t from, unsigned lanes) {
  TW_CHECK(lanes > 0 && lanes <= lanes_limit && from >= spans_.back().from);
  if (spans_.back().lanes == lanes) return;
  if (spans_.back().from == from) {
    spans_.back().lanes = lanes;
  } else {
    spans_.push_back({from, lanes});
  }
}

std::string LaneSchedule::text(const Uuid& journal) const {
  std::string text = fmt::format("{}{}\n", head, journal.text());
  for (const LaneSpan& span : spans_) text += fmt::format("{} {}\n", span.from, span.lanes);
  return text;
}

Result<LaneSchedule::Parsed> LaneSchedule::parse(std::string_view text) {
  Parsed parsed;
  std::string_view first = take_line(text);
  auto journal = first.starts_with(head) ? Uuid::parse(first.substr(head.size())) : std::nullopt;
  if (!journal) return fail(ErrorCode::corrupt, "line 1 names no journal");
  parsed.journal = *journal;
  std::vector<LaneSpan>& spans = parsed.schedule.spans_;
  spans.clear();
  for (int number = 2; !text.empty(); ++number) {
    auto span = parse_span(take_line(text));
    if (!span || (!spans.empty() && span->from <= spans.back().from)) {
      return fail(ErrorCode::corrupt, fmt::format("line {} is no number of lanes", number));
    }
    spans.push_back(*span);
  }
  if (spans.empty()) return fail(ErrorCode::corrupt, "it names no number of lanes");
  return parsed;
}

}  // namespace trialwire::pipeline
