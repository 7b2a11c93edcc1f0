// SPDX-License-Identifier: Apache-2.0
// A destination of the journal. To write the next one, implement these calls; the lane does the
// reading, batching, retrying, halving, setting aside and counting. README.md has the whole way.
//
// What the two sides promise each other:
//
//   the lane       calls from one thread; records in the order of their sequences, never one twice
//                  unless the sink said that it does not have it; a submission whole in one call;
//                  after any error `reset`, then `durable_cursor`, and the same again only when the
//                  answer is the one before; neither after a refusal that the sink says to have
//                  rolled back
//   the sink       stores records and cursor in one step, or neither; is idempotent where it can
//                  be: the record id (journal, epoch, sequence and time of receipt, base/uuid.hpp)
//                  is the same whenever a record comes
//
// Errors are told by their code, which must come from the driver's codes, never from its texts:
//
//   code                                   the lane
//   invalid_argument, payload_too_large    halves the delivery down to what it is about and sets
//                                          that aside as a dead letter. Only for what will be
//                                          refused for ever: a value that a column refuses, a
//                                          message over the limit. A schema or a right that is
//                                          missing is not: forbidden, internal, …
//   conflict                               asks for the cursor: it is not the one last known
//   cancelled                              only after `give_up`
//   every other                            repeats for ever, with backoff. unauthenticated,
//                                          forbidden, corrupt and the like are shown as `stuck`
//
// An error's text is for operators and is kept with dead letters: names of tables, columns, hosts,
// limits and sizes, never a patient's data.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.hpp"
#include "journal/reader.hpp"

namespace trialwire::pipeline {

/// One lane of one sink, used by that lane's thread only. A sink with several lanes is several
/// objects, each with a connection and a cursor of its own, kept apart by the number of the lane.
class Sink {
 public:
  virtual ~Sink() = default;
  /// Stable: names the cursor, the metrics, the dead letters and the operator's messages.
  virtual std::string_view name() const noexcept = 0;

  /// Where the destination itself says that it is durable up to: the cursor that it stored with the
  /// records. Default-constructed `next_sequence` (1) when it has none of this journal.
  /// Errors: corrupt, when it holds a cursor of this journal that cannot be (named in the text).
  virtual Result<journal::Cursor> durable_cursor(const Uuid& journal) = 0;

  /// Whether that cursor is kept on this machine: then its answer says nothing of the destination.
  virtual bool keeps_cursor_here() const noexcept { return false; }

  /// Makes `records` (in order) and `cursor` (not before the last of them) durable in one step:
  /// when it returns without error both are, otherwise neither. The destination must still hold
  /// the cursor that was read or delivered last: it is an error (conflict) if it does not.
  /// `records` may be empty: the cursor alone is stored. `cursor` may be the one that is stored
  /// already, with records from before it: a dead letter that an operator wants delivered.
  /// Records of a kind that the sink does not know are not its own: it passes them.
  virtual Result<void> deliver(std::span<const journal::Record> records,
                               const journal::Cursor& cursor) = 0;

  /// After an error: drop the connection, so that the next call makes a new one.
  virtual void reset() noexcept = 0;

  /// Of the `deliver` that just refused its records (invalid_argument, payload_too_large): none of
  /// it is stored, the cursor is where it was, and the sink is ready for the next one as it is.
  /// False is always right, and costs a connection for each refusal.
  virtual bool rolled_back() const noexcept { return false; }

  /// From another thread, once, when the process ends: a delivery that has not begun to commit
  /// fails soon, as do later ones. A sink whose deliveries are short may ignore it.
  virtual void give_up() noexcept {}
};

}  // namespace trialwire::pipeline
