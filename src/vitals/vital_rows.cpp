// SPDX-License-Identifier: Apache-2.0
#include "vitals/vital_rows.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ingest/stored_reader.hpp"
#include "ingest/time_text.hpp"
#include "storage/json_text.hpp"
#include "vitals/vital_sign_decoder.hpp"

namespace trialwire::vitals {
namespace {

using storage::Value;

enum Column : std::size_t {
  device_id,
  patient_id,
  trial_id,
  device_sequence,
  timestamp,
  timestamp_ns,
  first_value,  // nine, in the order of Vital
  position = first_value + vital_count,
  collected,
  unusual,
  column_count,
};

constexpr std::array<std::string_view, column_count> columns{
    "device_id",  "patient_id",   "trial_id", "device_sequence", "timestamp",   "timestamp_ns",
    "heart_rate", "blood_oxygen", "systolic", "diastolic",       "temperature", "respiratory_rate",
    "glucose",    "weight",       "height",   "position",        "collected",   "unusual"};
constexpr std::array<std::string_view, 5> names_of_flags{"timestamp_in_future", "timestamp_in_past",
                                                         "unattributed", "unusual_value",
                                                         "timestamp_unit_assumed"};
static_assert(timestamp_in_future == 1 && timestamp_in_past == 2 && unattributed == 4 &&
              unusual_value == 8 && timestamp_unit_assumed == 16);
constexpr storage::RowTable vital_signs{"vital_signs", "vital_sign_identities", columns,
                                        "device_id", names_of_flags};

Value present_or_null(std::string_view text) {
  return text.empty() ? Value() : Value(text);
}

class VitalRows final : public storage::RowMapper {
 public:
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::vital_sign; }
  const storage::RowTable& table() const noexcept override { return vital_signs; }

  bool map(const journal::Record& record, std::span<Value> row) override {
    VitalSign sign;
    auto read = reader_.read(record, "vital sign",
                             [&](ingest::JsonReader& reader, ingest::DecodeContext& context) {
                               return read_vital_sign(reader, context, no_limits(), sign);
                             });
    if (!read) {
      row[timestamp_ns] = record.attributes.received_ns;  // so that it has a place in the list
      return false;
    }
    row[device_id] = sign.device_id;
    row[patient_id] = present_or_null(sign.patient_id);
    row[trial_id] = present_or_null(sign.trial_id);
    if (sign.sequence) row[device_sequence] = *sign.sequence;
    row[timestamp] = time_text_(sign.timestamp);
    row[timestamp_ns] = sign.timestamp.instant.unix_ns;
    for (std::size_t vital = 0; vital < vital_count; ++vital) {
      if (sign.values[vital]) row[first_value + vital] = *sign.values[vital];
    }
    if (sign.position) row[position] = *sign.position;
    row[collected] = present_or_null(collected_of(sign));
    row[unusual] = present_or_null(unusual_of(sign));
    return true;
  }

 private:
  /// {"temperature":{"value":98.6,"unit":"[degF]"}}: each value sent with a unit, as it was sent.
  std::string_view collected_of(const VitalSign& sign) {
    collected_.clear();
    for (std::size_t vital = 0; vital < vital_count; ++vital) {
      const Collected& sent = sign.collected[vital];
      if (!sign.values[vital] || sent.unit.data() == nullptr) continue;
      collected_ += collected_.empty() ? "{\"" : ",\"";
      collected_.append(vital_traits[vital].field).append(R"(":{"value":)");
      collected_.append(sent.number).append(R"(,"unit":)");
      storage::append_json_string(collected_, sent.unit);
      collected_ += '}';
    }
    if (!collected_.empty()) collected_ += '}';
    return collected_;
  }

  std::string_view unusual_of(const VitalSign& sign) {
    unusual_.clear();
    for (std::size_t vital = 0; vital < vital_count; ++vital) {
      if (!sign.unusual(vital)) continue;
      unusual_ += unusual_.empty() ? '[' : ',';
      storage::append_json_string(unusual_, vital_traits[vital].field);
    }
    if (!unusual_.empty()) unusual_ += ']';
    return unusual_;
  }

  ingest::StoredReader reader_;
  ingest::TimeText time_text_;
  std::string collected_;
  std::string unusual_;
};

}  // namespace

std::span<const std::string_view> flag_names() noexcept {
  return names_of_flags;
}

std::unique_ptr<storage::RowMapper> make_rows() {
  return std::make_unique<VitalRows>();
}

}  // namespace trialwire::vitals
