// SPDX-License-Identifier: Apache-2.0
// From JSON to QolAnswer. Plain functions; they are what intake validates with and what a sink
// decodes the journal with.
#pragma once
#include <cstddef>
#include <limits>

#include "ingest/kind.hpp"
#include "qol/qol_answer.hpp"

namespace trialwire::qol {

struct AnswerLimits {
  std::size_t id_characters_max = 64;  // of every text
  ingest::TimeTolerance time;
};

/// What was accepted once stays readable, whatever the limits are now.
inline AnswerLimits no_limits() noexcept {
  AnswerLimits limits;
  limits.id_characters_max = std::numeric_limits<std::size_t>::max();
  return limits;
}

/// False when the JSON is malformed; otherwise true, with what is wrong added to `context.errors`,
/// and `out` complete if nothing is.
bool read_answer(ingest::JsonReader& reader, ingest::DecodeContext& context,
                 const AnswerLimits& limits, QolAnswer& out);

/// AnswerFlag bits for an answer received at `received_ns`.
std::uint8_t flags_of(const QolAnswer& answer, const AnswerLimits& limits,
                      std::int64_t received_ns) noexcept;

/// An answer has no id of its sender's: patient, time and content identify it.
class QolAnswerDecoder final : public ingest::KindDecoder {
 public:
  explicit QolAnswerDecoder(const AnswerLimits& limits) : limits_(limits) {}
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::qol_answer; }
  journal::ContentType content_type() const noexcept override { return journal::ContentType::json; }
  std::string_view label() const noexcept override { return "qol_answer"; }
  std::string_view sender_id_field() const noexcept override { return {}; }
  ingest::AboutFields about_fields() const noexcept override {
    return {"patient_id", "trial_id", {}};
  }
  auth::Scope scope() const noexcept override { return auth::Scope::reports_write; }
  bool decode(ingest::JsonReader& reader, ingest::DecodeContext& context,
              ingest::Decoded& out) const override;

 private:
  AnswerLimits limits_;
};

}  // namespace trialwire::qol
