// SPDX-License-Identifier: Apache-2.0
// What a destination can never take, kept with its reason and its bytes until an operator decides:
// so that one bad record does not stop those behind it, and is not lost either. The lanes put in
// and redeliver; `trialwire deadletter` lists, asks for redelivery and discards.
//
//   waiting ──retry──▶ retry_requested ──delivered──▶ delivered
//      ▲                     │ refused again
//      └─────────────────────┘
//   delivered ──the destination went back──▶ retry_requested
//   delivered ──kept for long enough──▶ gone
//   waiting, retry_requested ──discard──▶ discarded ──retry──▶ retry_requested
//
// Whoever decides is noted, and why.
//
// A unit is what must not be torn apart: a record of its own, or all records of a submission that
// the lane has. Any thread: the lanes of all sinks share one.
// Durable when a call returned without error; otherwise nothing of it happened. The lane passes a
// record only after `store` returned: a store that fails stalls the lane, it never drops.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "journal/record.hpp"
#include "pipeline/record_batch.hpp"

namespace trialwire::pipeline {

/// Who would not take it, when and why.
struct Refusal {
  std::string_view sink;
  unsigned lane = 0;
  ErrorCode code = ErrorCode::invalid_argument;
  std::string_view text;
  std::int64_t at_ns = 0;  // since the Unix epoch
};

class DeadLetters {
 public:
  virtual ~DeadLetters() = default;

  /// All of `unit` or nothing. Idempotent: a record is known by sink and record id; one that is
  /// there already is waiting again, with the new reason and one attempt more, unless it was
  /// discarded: that stays.
  virtual Result<void> store(std::span<const journal::Record> unit, const Refusal& refusal) = 0;

  /// The oldest unit of this sink that an operator wants delivered, into `unit`, which is emptied
  /// first: still empty, there is none.
  virtual Result<void> next_asked(std::string_view sink, RecordBatch& unit) = 0;

  /// The destination has `unit` now; `at_ns` since the Unix epoch.
  virtual Result<void> delivered(std::span<const journal::Record> unit, std::string_view sink,
                                 std::int64_t at_ns) = 0;

  /// Deletes what was delivered to this sink before `before_ns`, the oldest first, whole units, and
  /// of very many a part: the rest at the next call. Returns how many records. No `ask_again`
  /// brings those back.
  virtual Result<std::uint64_t> forget_delivered(std::string_view sink, std::int64_t before_ns) = 0;

  /// The destination went back to before what it had, and what was delivered to it may be gone:
  /// all of that is asked for again. Returns how many records.
  virtual Result<std::uint64_t> ask_again(std::string_view sink) = 0;

  using BySink = std::map<std::string, std::uint64_t, std::less<>>;
  /// Records that wait for an operator or for their redelivery; a sink without any is left out.
  virtual Result<BySink> waiting() = 0;
};

}  // namespace trialwire::pipeline
