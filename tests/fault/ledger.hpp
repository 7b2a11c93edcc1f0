// SPDX-License-Identifier: Apache-2.0
// The senders' side of a run: what was sent, what was answered, and whether what the journal holds
// after a restart agrees with both.
//
// A record that a sender means once is a `key`; the bytes that it says of it a `version` (another
// version of the same key is a conflict); each time it is sent an `attempt`, told apart by its time
// of receipt. Safe for use by any threads.
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "fault/verdict.hpp"
#include "journal/appender.hpp"
#include "journal/reader.hpp"
#include "support/random.hpp"

namespace trialwire::fault {

using support::Random;

struct Attempt {
  std::uint64_t key = 0;
  std::uint32_t version = 0;
  std::uint64_t group = 0;
  std::string bytes, principal, origin, traceparent;
  journal::RecordAttributes attributes;  // its views are of the strings above
};

class Ledger;

/// What one request stores.
struct Group final : journal::Waiter {
  enum class State : std::uint8_t {
    open,       // not yet ended
    pending,    // ended, not answered; after a crash: unknown for ever
    durable,    // answered
    conflict,   // answered: nothing stored
    refused,    // answered: nothing stored
    withdrawn,  // taken back: nothing stored
    cancelled,  // never ended: nothing stored
  };

  Ledger* ledger = nullptr;
  std::uint64_t id = 0;
  std::uint32_t shard = 0;
  std::uint32_t run = 0;  // starts of the journal before it
  journal::GroupMode mode = journal::GroupMode::each;
  std::uint64_t first_attempt = 0;
  std::uint32_t count = 0;
  bool fresh = true;  // no other group has a key of it
  State state = State::open;
  std::uint32_t stored = 0, duplicates = 0;
  std::uint64_t first_sequence = 0;
  Uuid first_record_id;
  std::vector<std::uint32_t> conflicts;

  void committed(const journal::Receipt& receipt) noexcept override;
};

/// A record as the journal gave it back, reduced to what is compared.
struct Recovered {
  std::uint64_t sequence = 0;
  std::uint64_t attempt = 0;
  Uuid record_id;
};

/// A row of the sink.
struct Row {
  std::uint64_t sequence = 0;
  std::uint64_t attempt = 0;
};

class Ledger {
 public:
  Ledger(std::uint64_t seed, bool dedupe, Verdict& verdict);

  // --- sending ----------------------------------------------------------------------------------
  Group& open_group(std::uint32_t shard, std::uint32_t run, journal::GroupMode mode);
  struct Wish {
    std::optional<std::uint64_t> key;  // none: one never used before
    std::uint32_t version = 0;
    std::size_t bytes = 100;
    std::uint32_t submission_count = 0;  // of an all-or-none request; 0: not in one
  };
  /// The record to append; its views live as long as the ledger.
  journal::Record add(Group& group, const Wish& wish, Random& random);
  void close_group(Group& group, Group::State state);
  /// A key that was sent before, none when there is none.
  std::optional<std::uint64_t> used_key(Random& random) const;

  /// In that run the journal may have refused groups whose answers never arrived.
  void excuse(std::uint32_t run);
  std::size_t unanswered(std::uint32_t shard, std::uint32_t run) const;
  struct Totals {
    std::uint64_t stored_answers = 0;  // of groups of which something was new
    std::uint64_t acknowledged = 0, duplicates = 0, conflicts = 0;  // records
  };
  Totals totals() const;

  // --- reading back -----------------------------------------------------------------------------
  /// Compares with what was sent, byte by byte; fails the verdict when it never was.
  std::optional<Recovered> recognise(const journal::Record& record, const Uuid& journal);
  /// Keys that occur in a file's bytes and were acknowledged.
  std::set<std::uint64_t> acknowledged_keys_in(std::span<const std::byte> file) const;
  std::uint64_t key_of(std::uint64_t attempt) const;

  struct Found {
    std::vector<Recovered> records;  // everything the journal gave back, from its beginning
    std::uint64_t begin = 1, end = 1;
    std::vector<Row> rows;  // of the sink
    std::uint64_t sink_cursor = 1;
    Uuid journal;
  };
  /// After a restart: acknowledged ⊆ recovered, nothing invented, order kept, each once.
  void check(const Found& found);

 private:
  friend struct Group;
  struct Place {
    std::uint64_t sequence = 0;
    std::uint64_t attempt = 0;
  };

  std::optional<std::uint64_t> attempt_of(const journal::Record& record) const;
  void establish(std::uint64_t sequence, std::uint64_t attempt, const char* by);
  void note_receipt(Group& group);
  void check_rows(const Found& found);
  void check_nothing_lost(const Found& found);
  void check_receipts(const Found& found);
  void check_receipt(const Group& group, const Found& found);
  void check_order();
  std::string describe(std::uint64_t attempt) const;

  const std::uint64_t seed_;
  const std::int64_t first_received_ns_;
  const bool dedupe_;
  Verdict& verdict_;
  mutable std::mutex mutex_;
  std::deque<Attempt> attempts_;
  std::deque<Group> groups_;
  std::uint64_t next_key_ = 1;
  std::map<std::uint64_t, std::uint64_t> group_of_key_;  // the first one
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> unanswered_;
  Totals totals_;
  std::set<std::uint32_t> excused_;
  std::set<std::uint64_t> acknowledged_keys_;
  // What is proven durable: by an answer, by recovery, or by a row of the sink. It never changes.
  std::map<std::uint64_t, std::uint64_t> attempt_at_;           // sequence → attempt
  std::map<std::uint64_t, std::uint64_t> sequence_of_attempt_;  // attempt → sequence
  std::map<std::uint64_t, Place> place_of_key_;                 // with dedupe
};

}  // namespace trialwire::fault
