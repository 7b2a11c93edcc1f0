// SPDX-License-Identifier: Apache-2.0
#include "epro/report_decoder.hpp"

#include <array>

#include "ingest/plausible_time.hpp"

namespace trialwire::epro {
namespace {

using ingest::FieldOutcome;
using ingest::FieldReader;
using ingest::JsonString;
using ingest::Rule;

enum Field : std::size_t {
  patient_id,
  trial_id,
  timestamp,
  qol_score,
  comments,
  site_id,
  report_id,
  answers,
  instrument,
  instrument_version,
  visit_id,
};
constexpr std::array<std::string_view, 11> names{
    "patientId", "trialId", "timestamp",  "qolScore",          "comments", "siteId",
    "reportId",  "answers", "instrument", "instrumentVersion", "visitId"};
constexpr std::array<std::string_view, 3> legacy_names{"report_id", "patient_id", "data"};
constexpr std::array<Field, 4> required{patient_id, trial_id, timestamp, qol_score};
constexpr ingest::IntegerLimits score_limits{0, 10};

/// One value of `answers`; item names are the sender's, so errors say the position.
void read_answer(FieldReader& fields, const ReportLimits& limits, std::size_t position) {
  ingest::JsonReader& json = fields.json();
  ingest::FieldErrors& errors = fields.context().errors;
  char c = json.peek();
  if (c == '"') {
    if (JsonString text = json.string()) {
      fields.item_text(names[answers], position, text, limits.answer_text_bytes_max);
    }
    return;
  }
  if (c != '-' && (c < '0' || c > '9')) {
    if (!json.skip_value()) return;
    errors.add(names[answers], Rule::type, "item {} must be an integer or a string", position);
    return;
  }
  std::string_view number = json.number();
  if (number.data() == nullptr) return;
  std::int64_t ignored = 0;
  switch (ingest::parse_integer(number, ignored)) {
    case ingest::IntegerForm::integer:
      return;
    case ingest::IntegerForm::fraction:
      errors.add(names[answers], Rule::type, "item {} must be an integer or a string", position);
      return;
    case ingest::IntegerForm::out_of_range:
      errors.add(names[answers], Rule::range, "item {} must fit in 64 bits", position);
      return;
  }
}

void check_answer_name(FieldReader& fields, const ReportLimits& limits, const JsonString& written,
                       std::size_t position) {
  ingest::DecodeContext& context = fields.context();
  std::string_view name = ingest::decode(written, context.scratch);
  if (name.empty() || name.size() > limits.answer_name_bytes_max) {
    context.errors.add(names[answers], Rule::length, "the name of item {} must be 1 to {} bytes",
                       position, limits.answer_name_bytes_max);
  } else if (!written.plain && ingest::has_control_character(name)) {
    context.errors.add(names[answers], Rule::format,
                       "the name of item {} must not contain control characters", position);
  } else if (!context.item_names.insert(name)) {
    context.errors.add(names[answers], Rule::duplicate,
                       "item {} repeats the name of an earlier one", position);
  }
}

/// `out` becomes the object as written.
FieldOutcome read_answers(FieldReader& fields, const ReportLimits& limits, std::string_view& out) {
  ingest::JsonReader& json = fields.json();
  char c = json.peek();
  if (c != '{') {
    if (c != 'n') return fields.wrong_type(names[answers], "an object");
    return json.literal() ? FieldOutcome::absent : FieldOutcome::error;
  }
  const char* start = json.position();
  if (!json.open('{')) return FieldOutcome::error;
  fields.context().item_names.clear();
  std::size_t items = 0;
  bool first = true;
  while (JsonString name = json.next_member(first)) {
    ++items;
    if (items <= limits.answers_max) {
      check_answer_name(fields, limits, name, items);
      read_answer(fields, limits, items);
    } else {
      json.skip_value();
    }
    if (json.failed()) return FieldOutcome::error;
  }
  if (items > limits.answers_max) {
    fields.context().errors.add(names[answers], Rule::length, "must have at most {} items",
                                limits.answers_max);
  }
  out = json.since(start);
  return FieldOutcome::value;
}

FieldOutcome read_optional(FieldReader& fields, std::string_view name,
                           const ingest::TextLimits& limits, std::optional<std::string_view>& out) {
  FieldOutcome outcome = fields.text(name, limits, out.emplace());
  if (outcome != FieldOutcome::value) out.reset();
  return outcome;
}

FieldOutcome read_score(FieldReader& fields, std::optional<std::int32_t>& out) {
  std::int64_t score = 0;
  FieldOutcome outcome = fields.integer(names[qol_score], score_limits, score);
  if (outcome == FieldOutcome::value) out = static_cast<std::int32_t>(score);
  return outcome;
}

FieldOutcome read_field(FieldReader& fields, const ReportLimits& limits, std::size_t field,
                        ReadReport& out) {
  PatientReport& report = out.report;
  std::string_view name = names[field];
  ingest::TextLimits id{0, limits.id_characters_max};
  ingest::TextLimits required_id{1, limits.id_characters_max};
  switch (field) {
    case patient_id: {
      FieldOutcome outcome = fields.text(name, required_id, report.patient_id);
      out.patient_id_json = fields.last_raw();
      return outcome;
    }
    case trial_id:
      return fields.text(name, required_id, report.trial_id);
    case timestamp:
      return fields.instant(name, report.timestamp_text, report.timestamp);
    case qol_score:
      return read_score(fields, report.qol_score);
    case comments:
      return read_optional(fields, name, {0, limits.comments_bytes_max, true}, report.comments);
    case site_id:
      return read_optional(fields, name, {0, limits.site_id_characters_max}, report.site_id);
    case report_id:
      return read_optional(fields, name, id, report.report_id);
    case answers:
      return read_answers(fields, limits, report.answers);
    case instrument:
      return read_optional(fields, name, id, report.instrument);
    case instrument_version:
      return read_optional(fields, name, id, report.instrument_version);
    default:
      return read_optional(fields, name, id, report.visit_id);
  }
}

}  // namespace

bool read_report(ingest::JsonReader& reader, ingest::DecodeContext& context,
                 const ReportLimits& limits, ReadReport& out) {
  FieldReader fields(reader, context);
  std::uint64_t given = 0;  // with a value, be it a wrong one
  bool well_formed = fields.object<names>([&](std::size_t field) {
    if (read_field(fields, limits, field, out) != FieldOutcome::absent) {
      given |= std::uint64_t{1} << field;
    }
  });
  if (!well_formed) return false;
  for (Field field : required) {
    if ((given >> field & 1) == 0) context.errors.add(names[field], Rule::required, "is required");
  }
  out.report.unknown_fields = fields.unknown_fields();
  return true;
}

bool read_legacy_report(ingest::JsonReader& reader, ingest::DecodeContext& context,
                        const ReportLimits& limits, ReadReport& out) {
  FieldReader fields(reader, context);
  PatientReport& report = out.report;
  std::uint64_t given = 0;
  bool well_formed = fields.object<legacy_names>([&](std::size_t field) {
    ingest::TextLimits id{1, limits.id_characters_max};
    FieldOutcome outcome;
    switch (field) {
      case 0:
        outcome = read_optional(fields, legacy_names[0], id, report.report_id);
        break;
      case 1:
        outcome = fields.text(legacy_names[1], id, report.patient_id);
        out.patient_id_json = fields.last_raw();
        break;
      default:
        outcome = read_optional(fields, legacy_names[2], {0, limits.legacy_data_bytes_max, true},
                                report.comments);
    }
    if (outcome != FieldOutcome::absent) given |= std::uint64_t{1} << field;
  });
  if (!well_formed) return false;
  for (std::size_t field = 0; field < legacy_names.size(); ++field) {
    if ((given >> field & 1) == 0) {
      context.errors.add(legacy_names[field], Rule::required, "is required");
    }
  }
  report.instrument = "legacy";
  report.timestamp = {context.received_ns, 0};
  report.unknown_fields = fields.unknown_fields();
  return true;
}

std::uint8_t flags_of(const PatientReport& report, const ReportLimits& limits,
                      std::int64_t received_ns) noexcept {
  std::uint8_t flags = ingest::time_flags(report.timestamp.unix_ns, received_ns,
                                          {limits.future_tolerance, limits.past_tolerance});
  if (report.trial_id.empty()) flags |= unattributed;
  return flags;
}

namespace {

void describe(const ReadReport& read, const ReportLimits& limits, std::int64_t received_ns,
              ingest::Decoded& out) {
  const PatientReport& report = read.report;
  out.study = report.trial_id;
  // An empty id names nothing; two reports that carry one are not the same report.
  out.sender_id = report.report_id.value_or(std::string_view());
  out.subject = report.patient_id;
  out.key = report.patient_id;
  out.about = {report.patient_id, report.trial_id, report.site_id.value_or(std::string_view())};
  out.subject_json = read.patient_id_json;
  out.instant_ns = report.timestamp.unix_ns;
  out.flags = flags_of(report, limits, received_ns);
  out.unknown_fields = report.unknown_fields;
}

}  // namespace

bool ReportDecoder::decode(ingest::JsonReader& reader, ingest::DecodeContext& context,
                           ingest::Decoded& out) const {
  ReadReport read;
  if (!read_report(reader, context, limits_, read)) return false;
  describe(read, limits_, context.received_ns, out);
  return true;
}

bool LegacyReportDecoder::decode(ingest::JsonReader& reader, ingest::DecodeContext& context,
                                 ingest::Decoded& out) const {
  ReadReport read;
  if (!read_legacy_report(reader, context, limits_, read)) return false;
  describe(read, limits_, context.received_ns, out);
  return true;
}

}  // namespace trialwire::epro
