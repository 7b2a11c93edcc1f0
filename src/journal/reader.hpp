// SPDX-License-Identifier: Apache-2.0
// Reading what is durable, in order. One reader a consumer, used by one thread. A reader that keeps
// up is served from the recent batches in memory, one that lags from the segments, in constant
// memory. Every batch read from disk is verified.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <vector>

#include "base/error.hpp"
#include "journal/record.hpp"

namespace trialwire::journal {

/// A place in a journal: the sequence of the next record to be read.
struct Cursor {
  Uuid journal;
  std::uint64_t next_sequence = 1;
};

/// The records of one batch from the cursor on; views are valid until the reader's next call.
struct Batch {
  std::uint64_t first_sequence = 0;
  /// [lost_from, lost_to): lost before these records, and declared so by a repair; equal: none.
  /// Of an empty batch: it was passed over, and nothing is behind it yet.
  std::uint64_t lost_from = 0;
  std::uint64_t lost_to = 0;
  std::vector<Record> records;
};

class Reader {
 public:
  virtual ~Reader() = default;
  /// The next durable records, waiting up to `wait` for some: an empty batch when none came or
  /// `stop` was requested. Errors: corrupt, io; they name file and offset.
  virtual Result<Batch*> next(std::chrono::milliseconds wait, std::stop_token stop) = 0;
  /// Where the next call begins.
  virtual Cursor position() const = 0;
  /// Continue from another place (an earlier one, to read again).
  virtual Result<void> seek(const Cursor& cursor) = 0;
};

}  // namespace trialwire::journal
