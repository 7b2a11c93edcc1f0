// SPDX-License-Identifier: Apache-2.0
#include "qol/qol_answer_decoder.hpp"

#include <array>
#include <limits>

namespace trialwire::qol {
namespace {

using ingest::FieldOutcome;
using ingest::FieldReader;
using ingest::Rule;

enum Field : std::size_t {
  patient_id,
  question_id,
  answer,
  submit_time,
  trial_id,
  instrument,
  visit_id,
};
constexpr std::array<std::string_view, 7> names{
    "patient_id", "question_id", "answer", "submit_time", "trial_id", "instrument", "visit_id"};
constexpr std::array<Field, 4> required{patient_id, question_id, answer, submit_time};
constexpr ingest::IntegerLimits any_integer{std::numeric_limits<std::int64_t>::min(),
                                            std::numeric_limits<std::int64_t>::max()};

FieldOutcome read_optional(FieldReader& fields, std::string_view name,
                           const ingest::TextLimits& limits, std::optional<std::string_view>& out) {
  FieldOutcome outcome = fields.text(name, limits, out.emplace());
  if (outcome != FieldOutcome::value) out.reset();
  return outcome;
}

FieldOutcome read_field(FieldReader& fields, const AnswerLimits& limits, std::size_t field,
                        QolAnswer& out) {
  std::string_view name = names[field];
  ingest::TextLimits id{0, limits.id_characters_max};
  ingest::TextLimits required_id{1, limits.id_characters_max};
  switch (field) {
    case patient_id:
      return fields.text(name, required_id, out.patient_id);
    case question_id:
      return fields.text(name, required_id, out.question_id);
    case answer:
      return fields.integer(name, any_integer, out.answer);
    case submit_time:
      return fields.instant(name, out.submit_time.text, out.submit_time.instant);
    case trial_id:
      return fields.text(name, id, out.trial_id);
    case instrument:
      return read_optional(fields, name, id, out.instrument);
    default:
      return read_optional(fields, name, id, out.visit_id);
  }
}

}  // namespace

bool read_answer(ingest::JsonReader& reader, ingest::DecodeContext& context,
                 const AnswerLimits& limits, QolAnswer& out) {
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
  out.unknown_fields = fields.unknown_fields();
  return true;
}

std::uint8_t flags_of(const QolAnswer& answer, const AnswerLimits& limits,
                      std::int64_t received_ns) noexcept {
  std::uint8_t flags =
      ingest::time_flags(answer.submit_time.instant.unix_ns, received_ns, limits.time);
  if (answer.trial_id.empty()) flags |= unattributed;
  return flags;
}

bool QolAnswerDecoder::decode(ingest::JsonReader& reader, ingest::DecodeContext& context,
                              ingest::Decoded& out) const {
  QolAnswer answer;
  if (!read_answer(reader, context, limits_, answer)) return false;
  out.study = answer.trial_id;
  out.subject = answer.patient_id;
  out.key = answer.patient_id;
  out.about = {answer.patient_id, answer.trial_id, {}};
  out.instant_ns = answer.submit_time.instant.unix_ns;
  out.flags = flags_of(answer, limits_, context.received_ns);
  out.unknown_fields = answer.unknown_fields;
  return true;
}

}  // namespace trialwire::qol
