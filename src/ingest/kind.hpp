// SPDX-License-Identifier: Apache-2.0
// What a kind of record brings so that the intake can take it: how one JSON object is decoded and
// validated, what identifies it, and how the answer to it reads. To add a kind, write a KindDecoder
// and the AnswerForm of each of its paths. Immutable and shared by all shards.
#pragma once
#include <cstdint>
#include <string_view>

#include "auth/principal.hpp"
#include "auth/scope.hpp"
#include "ingest/field_reader.hpp"
#include "journal/record.hpp"

namespace trialwire::ingest {

/// What the intake needs to know of a valid record. Views borrow from the body or the Scratch.
struct Decoded {
  std::string_view study;         // part of the identity; may be empty
  std::string_view sender_id;     // empty: the sender gave none
  std::string_view subject;       // whom or what it is about: part of the identity without an id
  std::string_view subject_json;  // the same as written in the body, without quotes
  std::int64_t instant_ns = 0;    // likewise, the record's own time
  std::string_view key;           // patient, device or study: whose records keep their order
  auth::About about;              // whom a token must let write
  std::uint8_t flags = 0;         // RecordAttributes::flags
  std::uint32_t unknown_fields = 0;
};

/// Names of the fields that `Decoded::about` comes from; empty: the kind has none. All static.
struct AboutFields {
  std::string_view patient;
  std::string_view study;
  std::string_view site;
};

class KindDecoder {
 public:
  virtual ~KindDecoder() = default;
  virtual journal::RecordKind kind() const noexcept = 0;
  virtual journal::ContentType content_type() const noexcept = 0;
  /// Value of the metrics' label `kind`.
  virtual std::string_view label() const noexcept = 0;
  /// The field that Decoded::sender_id comes from, as clients know it.
  virtual std::string_view sender_id_field() const noexcept = 0;
  /// The fields that Decoded::about comes from, likewise.
  virtual AboutFields about_fields() const noexcept = 0;
  /// What a token must be for, to write records of this kind.
  virtual auth::Scope scope() const noexcept = 0;

  /// Reads the object that is next. False when the JSON is malformed: the reader has the fault.
  /// True otherwise; the record is valid, and `out` filled, if no error was added to `context`.
  virtual bool decode(JsonReader& reader, DecodeContext& context, Decoded& out) const = 0;
};

/// The fixed parts of a path's answers, as JSON text. All text is static.
///   one object   {object_head [subject] object_tail "receipt":{…}}
///   an array     {array_head COUNT, "receipt":{…}}
struct AnswerForm {
  std::string_view object_head;  // `"status":"received",`, or up to where the subject stands
  std::string_view object_tail;  // empty: the answer does not name the subject
  std::string_view array_head = R"("status":"success","count":)";
};

}  // namespace trialwire::ingest
