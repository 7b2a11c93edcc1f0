// SPDX-License-Identifier: Apache-2.0
// Which lane of a sink a record belongs to, as a function of its sequence and its key's hash alone:
// from a sequence on there are L lanes, and the record is of lane `key_hash % L`. The number may
// change, at a sequence; what lies before keeps the lane that it had. So the cursor of a lane means
// the same for ever, also in a destination that was restored from a back-up of last year.
//
//   from 1: 2 lanes, from 5,000: 4     sequence 4,999, hash 7 → lane 1; sequence 5,000 → lane 3
//
// A plain value. Kept beside the journal, see SinkLanes; a sink that always had one lane needs
// none.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/uuid.hpp"

namespace trialwire::pipeline {

constexpr unsigned lanes_limit = 64;

struct LaneSpan {
  std::uint64_t from = 1;
  unsigned lanes = 1;
  friend bool operator==(const LaneSpan&, const LaneSpan&) = default;
};

class LaneSchedule {
 public:
  /// One lane from the beginning on.
  LaneSchedule() : spans_{{}} {}
  explicit LaneSchedule(unsigned lanes) : spans_{{1, lanes}} {}

  const LaneSpan& span_of(std::uint64_t sequence) const noexcept;
  unsigned lane_of(std::uint64_t sequence, std::uint32_t key_hash) const noexcept {
    return key_hash % span_of(sequence).lanes;
  }
  /// The highest number of lanes that there ever are.
  unsigned lanes_max() const noexcept;
  /// Before it the lane has no record.
  std::uint64_t first_of(unsigned lane) const noexcept;
  /// At or after `sequence` the lane has, or will have, records.
  bool has_from(unsigned lane, std::uint64_t sequence) const noexcept;

  /// So many lanes from `from` on, which is not before the last change.
  void change(std::uint64_t from, unsigned lanes);

  const std::vector<LaneSpan>& spans() const noexcept { return spans_; }
  friend bool operator==(const LaneSchedule&, const LaneSchedule&) = default;

  /// "journal UUID", then a line "FROM LANES" a span.
  std::string text(const Uuid& journal) const;
  /// Errors: corrupt, what is wrong is named.
  struct Parsed;
  static Result<Parsed> parse(std::string_view text);

 private:
  std::vector<LaneSpan> spans_;  // ascending, never empty
};

struct LaneSchedule::Parsed {
  Uuid journal;
  LaneSchedule schedule;
};

}  // namespace trialwire::pipeline
