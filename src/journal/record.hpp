// SPDX-License-Identifier: Apache-2.0
// A record as it is appended and as it is read back. Its bytes are the sender's own.
#pragma once
#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/uuid.hpp"

namespace trialwire::journal {

/// Stored in the journal: numbers are never reused.
enum class RecordKind : std::uint8_t {
  epro_report = 1,
  qol_answer = 2,
  vital_sign = 3,
  trial_metric = 4,
  alert = 5,
  audit = 6,
  project_created = 7,
};

/// How `bytes` is to be decoded. Stored: numbers are never reused.
enum class ContentType : std::uint8_t {
  json = 1,         // one JSON object in the current form of its kind
  json_legacy = 2,  // the body of an older client's path, see contract
  protobuf = 3,
};

/// What travels with the bytes. Text fields are at most 255 bytes each.
struct RecordAttributes {
  RecordKind kind = RecordKind::epro_report;
  ContentType content_type = ContentType::json;
  std::uint8_t flags = 0;          // of the kind's own meaning, decided at intake
  std::int64_t received_ns = 0;    // time of receipt, since the Unix epoch
  Hash128 identity;                // who says the same thing twice; see dedupe.hpp
  std::uint64_t content_hash = 0;  // of `bytes`: tells a retry from a conflict
  std::uint32_t key_hash = 0;      // of the patient, device or study that it belongs to, whose
                                   // records keep their order: base/hash.hpp; 0: none
  std::string_view principal;      // empty: anonymous
  std::string_view origin;         // "http 127.0.0.1:5123"
  std::string_view traceparent;    // W3C, empty when none came
  Uuid submission;                 // of an all-or-none request; zero: none
  std::uint32_t submission_index = 0;
  std::uint32_t submission_count = 0;
};

/// Views borrow: for the call when appending, until the next read when reading. Journal, epoch,
/// sequence and time of receipt make the record's id (base/uuid.hpp), whichever way it came: a sink
/// takes them from here, not from its cursor, which may be of another source than a journal.
struct Record {
  RecordAttributes attributes;
  Uuid journal;                // reading only: the one that acknowledged it
  std::uint64_t sequence = 0;  // reading only
  std::uint32_t epoch = 0;     // reading only
  /// Reading only: its place in the source that it is read from, where that is no journal of this
  /// machine; 0: its sequence.
  std::uint64_t place = 0;
  ByteView bytes;

  /// The cursor of a source in front of it; behind it is one more.
  std::uint64_t at() const noexcept { return place != 0 ? place : sequence; }
};

}  // namespace trialwire::journal
