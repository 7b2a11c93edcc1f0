// SPDX-License-Identifier: Apache-2.0
// An operator's side of the dead letters: look at them, ask for redelivery, discard them with a
// reason. The server need not run; if it does, it sees a request within a second or so. The records
// of a submission are decided on together, whichever of them is named.
//
// One thread. Letters come one by one, so that any number of them takes constant memory.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/uuid.hpp"
#include "journal/record.hpp"
#include "pipeline/dead_letters.hpp"
#include "storage/sql/sqlite/database.hpp"
#include "storage/sql/sqlite/dead_letter_file.hpp"

namespace trialwire::storage::sqlite {

/// Views are valid during the call that it is passed to.
struct DeadLetter {
  std::int64_t id = 0;  // what an operator names it by
  std::string_view sink;
  unsigned lane = 0;
  journal::Record record;  // whole, with the sender's bytes
  std::string_view record_id;
  std::string_view reason_code, reason;
  std::uint64_t attempts = 0;
  std::int64_t first_refused_ns = 0, last_refused_ns = 0;
  LetterState state = LetterState::waiting;
  std::string_view decided_by, decided_why;  // empty: nobody has
  std::int64_t decided_ns = 0;
};

struct LetterFilter {
  std::string sink;                  // empty: of every sink
  std::optional<LetterState> state;  // none: those that are open (waiting, retry_requested)
  bool every_state = false;
  std::optional<std::int64_t> id;  // this one, in whatever state
};

struct LetterDecision {
  std::string by;
  std::string why;
  std::int64_t at_ns = 0;
};

class DeadLetterDesk {
 public:
  /// Errors: not_found, when there is no file: nothing was ever set aside; as Database.
  static Result<DeadLetterDesk> open(const std::filesystem::path& path);

  using See = std::function<void(const DeadLetter&)>;
  /// By id; returns how many there were.
  Result<std::uint64_t> each(const LetterFilter& filter, const See& see);

  /// All of them or none, be they waiting or discarded: not_found names an id that is not there,
  /// conflict one in another state. Returns the number of records.
  Result<std::uint64_t> ask_for(std::span<const std::int64_t> ids, const LetterDecision& decision);
  /// Likewise; only what is open can be discarded.
  Result<std::uint64_t> discard(std::span<const std::int64_t> ids, const LetterDecision& decision);
  /// All that wait, of this sink or of every one.
  Result<std::uint64_t> ask_for_all(std::string_view sink, const LetterDecision& decision);
  /// Records that are asked for, by sink.
  Result<pipeline::DeadLetters::BySink> asked();

 private:
  explicit DeadLetterDesk(Database database) : database_(std::move(database)) {}
  Result<std::uint64_t> decide(std::span<const std::int64_t> ids, std::string_view sql,
                               const LetterDecision& decision);

  Database database_;
};

}  // namespace trialwire::storage::sqlite
