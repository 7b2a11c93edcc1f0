// SPDX-License-Identifier: Apache-2.0
// Up to where the cursors of a sink can be of this journal's history. Only this process delivers to
// a lane's cursor, so a sink is where the lane itself has brought it, or may have (a delivery whose
// outcome is not known), or, at its first answer, no further than the journal's end at the start.
// One that is beyond that was brought there by another history of the same journal: its data
// directory, or the destination, is of another time. A sequence is then two records, and what the
// cursor says is delivered is not.
//
// The bound holds until the sink is found within it, however far the journal grows meanwhile, and
// over restarts: a lane that was not found within its bound is in a file, "journal UUID" and then a
// line "LANE SEQUENCE" each. The file is not there in ordinary times. It is written at a start at
// which the sink does not answer, and when a cursor beyond the bound is found; a lane's line goes,
// durably, before the lane delivers again. What brings everything from the bound on (`trialwire
// replay`) removes it.
//
// Any thread; takes its lock for the time of a write.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "base/error.hpp"
#include "base/uuid.hpp"
#include "journal/file_layer.hpp"
#include "journal/reader.hpp"

namespace trialwire::pipeline {

class CursorBounds {
 public:
  using ByLane = std::map<unsigned, std::uint64_t>;

  /// `file` empty: nothing outlives the process.
  CursorBounds(std::filesystem::path file, journal::FileLayer& files);

  /// At a start, before anything is appended. Errors: corrupt, when the file makes no sense.
  Result<void> load(const journal::Cursor& end, unsigned lanes);
  /// The lane's cursor is at this sequence or before.
  std::uint64_t of(unsigned lane) const;

  /// The lane's sink is within its bound. Errors: those of the file; the lane must not deliver.
  Result<void> found(unsigned lane);
  /// It is beyond `bound`, which is the lane's by now.
  void exceeded(unsigned lane, std::uint64_t bound);
  /// The start is over: who has not answered is to be judged by its bound after the next one, too.
  void started();
  /// With the lanes at an end: a bound that is the journal's end says nothing.
  void ended(const journal::Cursor& end);

 private:
  void store_locked();
  Result<void> write_locked();

  const std::filesystem::path file_;
  journal::FileLayer& files_;
  Uuid journal_;
  mutable std::mutex mutex_;  // of what follows
  ByLane bounds_;
  std::set<unsigned> open_;  // lanes that are, or should be, in the file
  std::set<unsigned> found_;
  bool stored_ = false;  // the file is there
};

/// What the file says of this journal; nothing when there is none, or it is of another journal.
/// Errors: corrupt, those of the file layer.
Result<CursorBounds::ByLane> read_cursor_bounds(const std::filesystem::path& file,
                                                const Uuid& journal, journal::FileLayer& files);
/// Durably; no error when it is not there.
Result<void> remove_cursor_bounds(const std::filesystem::path& file, journal::FileLayer& files);

}  // namespace trialwire::pipeline
