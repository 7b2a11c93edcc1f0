// SPDX-License-Identifier: Apache-2.0
#include "epro/report.hpp"

#include <limits>

#include <simdjson.h>

#include "epro/report_decoder.hpp"

namespace trialwire::epro {
namespace {

/// What was accepted once stays readable, whatever the limits are now.
ReportLimits no_limits() noexcept {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  ReportLimits limits;
  limits.id_characters_max = most;
  limits.site_id_characters_max = most;
  limits.comments_bytes_max = most;
  limits.legacy_data_bytes_max = most;
  limits.answers_max = most;
  limits.answer_name_bytes_max = most;
  limits.answer_text_bytes_max = most;
  return limits;
}

}  // namespace

Result<PatientReport> decode_stored(const journal::Record& record, ingest::Scratch& scratch) {
  const journal::RecordAttributes& attributes = record.attributes;
  bool legacy = attributes.content_type == journal::ContentType::json_legacy;
  if (attributes.kind != journal::RecordKind::epro_report ||
      (!legacy && attributes.content_type != journal::ContentType::json)) {
    return fail(ErrorCode::corrupt, "not a patient report in JSON");
  }
  std::string_view text = as_text(record.bytes);
  if (!simdjson::validate_utf8(text)) {
    return fail(ErrorCode::corrupt, "a stored patient report is not UTF-8");
  }
  // Names are not secret here: the journal holds only what intake let in.
  ingest::KeySet unknown_names{SipKey{}};
  ingest::KeySet item_names{SipKey{}};
  ingest::FieldErrors errors(1);
  scratch.begin();
  ingest::DecodeContext context{errors, scratch, unknown_names, item_names};
  context.object_fields_max = std::numeric_limits<std::uint32_t>::max();
  context.received_ns = attributes.received_ns;
  ingest::JsonReader reader(text, 0, ingest::json_depth_limit);
  ReadReport read;
  bool well_formed = legacy ? read_legacy_report(reader, context, no_limits(), read)
                            : read_report(reader, context, no_limits(), read);
  if (!well_formed || !reader.at_end()) {
    return fail(ErrorCode::corrupt,
                fmt::format("a stored patient report is not valid JSON: {} at byte {}",
                            ingest::describe(reader.fault()), reader.offset()));
  }
  if (!errors.empty()) {
    std::string reason;
    errors.append_summary(reason);
    return fail(ErrorCode::corrupt, "a stored patient report is not valid: " + reason);
  }
  return read.report;
}

}  // namespace trialwire::epro
