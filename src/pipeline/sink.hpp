// SPDX-License-Identifier: Apache-2.0
// A destination of the journal. To write the next one, implement these calls; the lane does the
// reading, batching, retrying and counting.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.hpp"
#include "journal/reader.hpp"

namespace trialwire::pipeline {

/// One lane of one sink, used by that lane's thread only.
class Sink {
 public:
  virtual ~Sink() = default;
  /// Stable: names the cursor, the metrics and the operator's messages.
  virtual std::string_view name() const noexcept = 0;

  /// Where the destination itself says that it is durable up to: the cursor that it stored with the
  /// records. Default-constructed `next_sequence` (1) when it has none of this journal.
  /// Errors: corrupt, when it holds a cursor of this journal that cannot be (named in the text).
  virtual Result<journal::Cursor> durable_cursor(const Uuid& journal) = 0;

  /// Makes `records` (in order) and `cursor` (after the last of them) durable in one step: when it
  /// returns without error both are, otherwise neither. The destination must still hold the cursor
  /// that was read or delivered last: it is an error (conflict) if it does not. After an error the
  /// lane resets and asks for the cursor again; the same records come again only if it is the same.
  virtual Result<void> deliver(std::span<const journal::Record> records,
                               const journal::Cursor& cursor) = 0;

  /// After an error: drop the connection, so that the next call makes a new one.
  virtual void reset() noexcept = 0;

  /// From another thread, once, when the process ends: a delivery that has not begun to commit
  /// fails soon, as do later ones. A sink whose deliveries are short may ignore it.
  virtual void give_up() noexcept {}
};

}  // namespace trialwire::pipeline
