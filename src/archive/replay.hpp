// SPDX-License-Identifier: Apache-2.0
// Delivers records to a sink once more: to one that lost rows, or that was restored from an older
// back-up. Rows stay single, because a sink keys on record id and identity.
//
// The sink's cursor never goes back, and goes forward only over what was delivered without a hole
// from at or before it. Where it has to stay, records are delivered under the cursor as it is. Of
// several lanes none moves before all records of the delivery are there, of all lanes: what a
// replay that was interrupted leaves is right however many lanes the server has, or had.
// Thread: the caller's. Memory: one delivery. Failure: a delivery that fails for a while is
// repeated `attempts` times with backoff; then it ends with an error that names the sequences, what
// was delivered before, and where a further replay has to begin. What the sink refuses for ever is
// found by halving the delivery, as by a lane, and set aside among the dead letters, a submission
// whole; the rest goes on. Without dead letters, or when these cannot be stored, or after
// `refusals_max` in a row, that ends it, too.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "journal/offline.hpp"
#include "journal/segment_store.hpp"
#include "pipeline/dead_letters.hpp"
#include "pipeline/sink.hpp"
#include "resilience/backoff.hpp"

namespace trialwire::archive {

struct ReplayOptions {
  Uuid journal;
  std::uint64_t until = UINT64_MAX;         // this sequence is not delivered any more, unless it
                                            // is in a submission that has begun
  std::uint64_t cursor_until = UINT64_MAX;  // cursors move up to here at most; 0: they stay
  std::size_t batch_records = 4'096;        // deliver when so many are collected
  std::size_t batch_bytes = 8 << 20;
  unsigned attempts = 10;
  resilience::BackoffOptions backoff{std::chrono::milliseconds(100),
                                     std::chrono::milliseconds(5'000)};
  /// Where goes what a sink can never take; outlives the replay. Null: such a record ends it.
  pipeline::DeadLetters* dead_letters = nullptr;
  unsigned refusals_max = 100;  // in a row, none taken between; 0: no bound
  /// After a unit (a record, or those of a submission) was set aside.
  std::function<void(std::span<const journal::Record> unit, const Error& reason)> refused;
  std::function<std::int64_t()> unix_now_ns;  // empty: the system clock
  /// After each delivery; false ends the replay.
  std::function<bool(std::uint64_t next_sequence, std::uint64_t records)> progress;
};

struct ReplayReport {
  std::uint64_t records = 0;         // delivered
  std::uint64_t refused = 0;         // set aside as dead letters
  std::uint64_t first_sequence = 0;  // 0: nothing was there to be delivered
  std::uint64_t next_sequence = 0;
  std::vector<std::uint64_t> cursors_before;  // of each lane
  std::vector<std::uint64_t> cursors_after;
};

/// `from`: yields the records from the first wanted sequence on. `lanes`: the sink's, all of them.
/// An error's text says where a further replay has to begin: before that all is delivered.
Result<ReplayReport> replay(journal::SegmentReader& from,
                            std::span<const std::unique_ptr<pipeline::Sink>> lanes,
                            const ReplayOptions& options);

/// Where the record that the reader begins with begins, or the submission that it is in: a replay
/// from there splits none. Errors: the reader's.
Result<std::uint64_t> unit_begin(journal::SegmentReader& reader);

/// The archive's records from a sequence on, then the journal's. Either may be null.
struct JoinedSources {
  std::unique_ptr<journal::SegmentReader> archive;  // begins at `from`
  journal::JournalAtRest* journal = nullptr;
  std::uint64_t from = 1;
};
/// Errors of its `next`: not_found, when sequences are in neither (they are named); those of both.
std::unique_ptr<journal::SegmentReader> joined(JoinedSources sources);

}  // namespace trialwire::archive
