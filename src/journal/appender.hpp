// SPDX-License-Identifier: Apache-2.0
// The way into the journal: one appender a shard, used on that shard's thread only. Records are
// encoded once into a buffer that is handed to the committer once per turn of the event loop; the
// answer comes back to the same thread after the batch that holds them is durable. Warm, no call
// here allocates.
//
// A group is what one request stores: it is never split over batches. For each record the committer
// looks its identity up:
//   new                           stored
//   known, same content_hash      not stored again; the first receipt is the answer
//   known, other content_hash     a conflict: not stored
#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "base/error.hpp"
#include "journal/record.hpp"

namespace trialwire::journal {

enum class GroupMode : std::uint8_t {
  all_or_none,  // one conflict: nothing of the group is stored
  each,         // conflicts are left out and listed
};

/// What became of a group. Valid during the call of Waiter::committed only.
struct Receipt {
  enum class State : std::uint8_t {
    durable,   // every record that is not in `conflicts` is stored, now or before
    conflict,  // all_or_none: nothing stored; `conflicts` says which
    refused,   // nothing stored: `error` says why (journal full, stopping); or, when it is
               // deadline_exceeded, stored here, but not known to be replicated
  };
  State state = State::durable;
  ErrorCode error = ErrorCode::unavailable;
  bool synced = true;                        // false only with journal.sync: none
  std::uint32_t stored = 0;                  // new records
  std::uint32_t duplicates = 0;              // known records
  std::uint64_t first_sequence = 0;          // of the first record that is not a conflict
  Uuid first_record_id;                      // likewise
  std::span<const std::uint32_t> conflicts;  // indexes within the group, ascending
  /// Of every record that is not a conflict, in order. Empty when they are numbered on from
  /// `first_sequence`: always, unless some are known and others are not, or not from one group.
  std::span<const std::uint64_t> sequences;
};

/// Told on the appender's thread, exactly once for each group that `end` was called for and that
/// was not withdrawn. Must outlive that call.
class Waiter {
 public:
  virtual void committed(const Receipt& receipt) noexcept = 0;

 protected:
  ~Waiter() = default;
};

class Appender {
 public:
  virtual ~Appender() = default;

  /// May a request of `bytes` be taken now? Errors: disk_full (undelivered bytes or disk budget),
  /// unavailable (stopping, journal failed), overloaded (unacknowledged bytes over the limit).
  virtual Result<void> admit(std::size_t bytes) noexcept = 0;

  /// Opens a group. Only one is open at a time.
  virtual void begin(GroupMode mode) noexcept = 0;
  /// Copies the record into the open group.
  virtual void add(const Record& record) = 0;
  /// Can the open group be stored? No batch, and so no group, is larger than a segment holds: one
  /// that does not fit is to be cancelled and refused as payload_too_large.
  virtual bool fits() const noexcept = 0;
  /// Drops the open group as if it had never begun.
  virtual void cancel() noexcept = 0;
  /// Closes the group; `waiter` is told of it. An empty group is answered at once as durable.
  /// The returned ticket names the group for `withdraw`.
  virtual std::uint64_t end(Waiter& waiter) = 0;

  /// Takes a group back that is not yet joined into a batch: true, and its waiter is never told.
  /// False: too late, the waiter will be told.
  virtual bool withdraw(std::uint64_t ticket) noexcept = 0;

  /// Hands what was appended to the committer. The shard calls it at the end of each turn.
  virtual void flush() = 0;

  /// Unacknowledged bytes: of this shard, and of all.
  virtual std::size_t pending_bytes() const noexcept = 0;

  /// Groups handed to the committer, and those of them that came back, in the same order.
  struct Progress {
    std::uint64_t handed_over = 0;
    std::uint64_t settled = 0;
  };
  virtual Progress progress() const noexcept { return {}; }

  /// The key and rule for identities (see dedupe.hpp): stable for the life of the journal.
  virtual SipKey identity_key() const noexcept = 0;
};

}  // namespace trialwire::journal
