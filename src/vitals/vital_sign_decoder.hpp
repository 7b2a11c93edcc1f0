// SPDX-License-Identifier: Apache-2.0
// From JSON to VitalSign. Plain functions; they are what intake validates with and what a sink
// decodes the journal with.
#pragma once
#include <cstddef>
#include <limits>

#include "ingest/kind.hpp"
#include "vitals/vital_sign.hpp"

namespace trialwire::vitals {

struct VitalLimits {
  std::size_t id_characters_max = 64;  // deviceId, patientId, trialId, position
  bool possible_only = true;           // refuse what is outside of VitalTraits::possible
  ingest::TimeTolerance time;
};

/// What was accepted once stays readable, whatever the limits are now.
inline VitalLimits no_limits() noexcept {
  VitalLimits limits;
  limits.id_characters_max = std::numeric_limits<std::size_t>::max();
  limits.possible_only = false;
  return limits;
}

/// False when the JSON is malformed; otherwise true, with what is wrong added to `context.errors`,
/// and `out` complete if nothing is.
bool read_vital_sign(ingest::JsonReader& reader, ingest::DecodeContext& context,
                     const VitalLimits& limits, VitalSign& out);

/// VitalFlag bits for a measurement received at `received_ns`.
std::uint8_t flags_of(const VitalSign& sign, const VitalLimits& limits,
                      std::int64_t received_ns) noexcept;

/// The sender's id of a measurement is its device's counter, where it has one: device and sequence
/// identify it. Otherwise device, time and content do.
class VitalSignDecoder final : public ingest::KindDecoder {
 public:
  explicit VitalSignDecoder(const VitalLimits& limits) : limits_(limits) {}
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::vital_sign; }
  journal::ContentType content_type() const noexcept override { return journal::ContentType::json; }
  std::string_view label() const noexcept override { return "vital_sign"; }
  std::string_view sender_id_field() const noexcept override { return "sequence"; }
  ingest::AboutFields about_fields() const noexcept override {
    return {"patientId", "trialId", {}};
  }
  auth::Scope scope() const noexcept override { return auth::Scope::vitals_write; }
  bool decode(ingest::JsonReader& reader, ingest::DecodeContext& context,
              ingest::Decoded& out) const override;

 private:
  VitalLimits limits_;
};

}  // namespace trialwire::vitals
