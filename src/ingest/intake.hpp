// SPDX-License-Identifier: Apache-2.0
// The intake of records over HTTP: from a request to a group in the journal, and the answer when
// that group is durable. An Intake serves one path on one shard; all intakes of a shard share its
// IntakeShard. Used on the shard's thread only; never blocks; allocates nothing per record once
// warm.
//
// A body is one JSON object, an array of them (all or none: one submission), or NDJSON (line by
// line); any of them may be gzip. Nothing is handed to the journal before the whole body has been
// read and validated, and an answer of success is only made of the journal's receipt.
//
//   what is wrong                             answer
//   media type, content encoding              415
//   over `inflated_bytes_max`, `records_max`  413
//   gzip, UTF-8, JSON, a field                400, every bad field named
//   a record that the token is not for        403 (NDJSON: a rejected line)
//   an id that came with other content        409 (NDJSON: a rejected line)
//   the journal takes nothing now             503 with Retry-After
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/answer.hpp"
#include "ingest/identity.hpp"
#include "ingest/inflater.hpp"
#include "ingest/kind.hpp"
#include "ingest/metrics.hpp"
#include "ingest/options.hpp"
#include "ingest/request_head.hpp"
#include "journal/appender.hpp"
#include "net/exchange.hpp"

namespace trialwire::ingest {

/// A record that is valid and waits for the rest of its request.
struct PendingRecord {
  std::string_view bytes;  // of the body
  RecordIdentity identity;
  std::uint32_t place = 0;
  std::uint32_t key_hash = 0;
  std::uint8_t flags = 0;
};

/// What a shard works with: memory that is used by one request at a time and kept for the next.
struct IntakeShard {
  IntakeShard(const IntakeOptions& options, journal::Appender& appender);

  const IntakeOptions options;
  journal::Appender& appender;
  const SipKey identity_key;
  const std::uint32_t json_depth_max;
  Inflater inflater;
  Scratch scratch;
  KeySet unknown_names;
  KeySet item_names;
  NestedNames nested_names;
  FieldErrors errors;
  RejectedLines rejected;
  std::vector<PendingRecord> pending;
  std::vector<RecordPlace> places;
  std::string identity_text;
  std::string text;  // of the answer that is being rendered
};

class Intake {
 public:
  /// All are borrowed and outlive the intake and its answers.
  Intake(IntakeShard& shard, const KindDecoder& decoder, const AnswerForm& form,
         IntakeMetrics& metrics)
      : shard_(shard),
        decoder_(decoder),
        form_(form),
        metrics_(metrics),
        answer_context_{shard.appender, metrics, shard.text, form, decoder.sender_id_field()} {}
  Intake(const Intake&) = delete;
  Intake& operator=(const Intake&) = delete;

  /// Answers the request, now or after the commit. `received_ns` is since the Unix epoch.
  void handle(net::Exchange& exchange, std::int64_t received_ns);

 private:
  struct Job;  // one request on its way through `handle`

  void read_document(Job& job, std::string_view text, std::size_t padding);
  bool read_elements(Job& job, JsonReader& reader);
  void read_lines(Job& job, std::string_view text, std::size_t padding);
  void read_line(Job& job, std::string_view line, std::size_t padding, std::uint32_t number,
                 bool encoding_known);
  bool read_record(Job& job, JsonReader& reader, std::uint32_t place);
  void check_owner(Job& job, const auth::About& about);
  void append(Job& job, BodyForm form);
  AnswerContent answer_content(Job& job, BodyForm form);
  void answer_errors(Job& job);
  void refuse(Job& job, const Refusal& refusal);

  IntakeShard& shard_;
  const KindDecoder& decoder_;
  const AnswerForm& form_;
  IntakeMetrics& metrics_;
  const AnswerContext answer_context_;
};

}  // namespace trialwire::ingest
