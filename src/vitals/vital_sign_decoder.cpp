// SPDX-License-Identifier: Apache-2.0
#include "vitals/vital_sign_decoder.hpp"

#include <charconv>
#include <limits>

#include "vitals/units.hpp"

namespace trialwire::vitals {
namespace {

using ingest::FieldOutcome;
using ingest::FieldReader;
using ingest::JsonString;
using ingest::Rule;

// The values' fields come first, in the order of Vital.
enum Field : std::size_t {
  device_id = vital_count,
  timestamp,
  units,
  position,
  patient_id,
  trial_id,
  sequence,
};
constexpr std::array<std::string_view, vital_count> value_names = [] {
  std::array<std::string_view, vital_count> names{};
  for (std::size_t i = 0; i < vital_count; ++i) names[i] = vital_traits[i].field;
  return names;
}();
constexpr std::array<std::string_view, vital_count + 7> names = [] {
  std::array<std::string_view, vital_count + 7> all{};
  for (std::size_t i = 0; i < vital_count; ++i) all[i] = value_names[i];
  all[device_id] = "deviceId";
  all[timestamp] = "timestamp";
  all[units] = "units";
  all[position] = "position";
  all[patient_id] = "patientId";
  all[trial_id] = "trialId";
  all[sequence] = "sequence";
  return all;
}();
constexpr ingest::IntegerLimits sequence_limits{0, std::numeric_limits<std::int64_t>::max()};

/// Reads one record; what only the whole of it tells is checked at its end.
class VitalSignReader {
 public:
  VitalSignReader(ingest::JsonReader& reader, ingest::DecodeContext& context,
                  const VitalLimits& limits, VitalSign& out)
      : fields_(reader, context), errors_(context.errors), limits_(limits), sign_(out) {}

  bool read() {
    std::uint64_t given = 0;  // with a value, be it a wrong one
    bool well_formed = fields_.object<names>([&](std::size_t field) {
      if (read_field(field) != FieldOutcome::absent) given |= std::uint64_t{1} << field;
    });
    if (!well_formed) return false;
    for (Field field : {device_id, timestamp}) {
      if ((given >> field & 1) == 0) errors_.add(names[field], Rule::required, "is required");
    }
    if ((given & ((1U << vital_count) - 1)) == 0) {
      errors_.add({}, Rule::required,
                  "must hold at least one of heartRate, bloodOxygen, systolic, diastolic, "
                  "temperature, respiratoryRate, glucose, weight, height");
    }
    for (std::size_t vital = 0; vital < vital_count; ++vital) finish(vital);
    check_pressures();
    sign_.unknown_fields = fields_.unknown_fields() + unknown_units_;
    return true;
  }

 private:
  FieldOutcome read_field(std::size_t field) {
    std::string_view name = names[field];
    const ingest::TextLimits optional{0, limits_.id_characters_max};
    switch (field) {
      case device_id:
        return fields_.text(name, {1, limits_.id_characters_max}, sign_.device_id);
      case timestamp:
        return fields_.moment(name, sign_.timestamp);
      case units:
        return read_units();
      case position: {
        FieldOutcome outcome = fields_.text(name, optional, sign_.position.emplace());
        if (outcome != FieldOutcome::value) sign_.position.reset();
        return outcome;
      }
      case patient_id:
        return fields_.text(name, optional, sign_.patient_id);
      case trial_id:
        return fields_.text(name, optional, sign_.trial_id);
      case sequence: {
        FieldOutcome outcome = fields_.integer(name, sequence_limits, sign_.sequence.emplace());
        if (outcome != FieldOutcome::value) sign_.sequence.reset();
        return outcome;
      }
      default:
        return read_value(field);
    }
  }

  FieldOutcome read_value(std::size_t vital) {
    double value = 0;
    FieldOutcome outcome = fields_.real(names[vital], sign_.collected[vital].number, value);
    if (outcome == FieldOutcome::value) sign_.values[vital] = value;
    return outcome;
  }

  /// Names of other fields are unknown ones like those of the record itself: a device may measure
  /// more than this knows of.
  FieldOutcome read_units() {
    ingest::JsonReader& json = fields_.json();
    char c = json.peek();
    if (c != '{') {
      if (c != 'n') return fields_.wrong_type(names[units], "an object");
      return json.literal() ? FieldOutcome::absent : FieldOutcome::error;
    }
    if (!json.open('{')) return FieldOutcome::error;
    fields_.context().item_names.clear();
    std::uint32_t item = 0;
    bool first = true;
    while (JsonString written = json.next_member(first)) {
      ++item;
      read_unit(ingest::decode(written, fields_.context().scratch), item);
      if (json.failed()) return FieldOutcome::error;
    }
    return FieldOutcome::value;
  }

  void read_unit(std::string_view name, std::uint32_t item) {
    std::size_t vital = ingest::index_of<value_names>(name);
    if (vital == vital_count) return unknown_unit(name, item);
    std::string_view& unit = sign_.collected[vital].unit;
    std::string_view field = vital_traits[vital].units_field;
    if ((units_seen_ >> vital & 1) != 0) {
      errors_.add(field, Rule::duplicate, "must be given only once");
      fields_.json().skip_value();
      return;
    }
    units_seen_ |= 1U << vital;
    if (fields_.text(field, {0, limits_.id_characters_max}, unit) != FieldOutcome::value) {
      unit = {};
    }
  }

  void unknown_unit(std::string_view name, std::uint32_t item) {
    ++unknown_units_;
    ingest::DecodeContext& context = fields_.context();
    if (item > context.object_fields_max) {
      if (item == context.object_fields_max + 1) {
        errors_.add(names[units], Rule::length, "must have at most {} items",
                    context.object_fields_max);
      }
    } else if (!context.item_names.insert(name)) {
      errors_.add(names[units], Rule::duplicate, "item {} repeats the name of an earlier one",
                  item);
    } else if (context.unknown_fields == ingest::UnknownFields::refuse) {
      errors_.add(names[units], Rule::unknown, "item {} is not one of this record's values", item);
    }
    fields_.json().skip_value();
  }

  /// Converts the value and checks its range.
  void finish(std::size_t index) {
    auto vital = static_cast<Vital>(index);
    const VitalTraits& traits = vital_traits[index];
    std::string_view unit = sign_.collected[index].unit;
    bool has_unit = unit.data() != nullptr;
    std::optional<Conversion> convert = Conversion{};
    if (has_unit) convert = conversion(vital, unit);
    if (!convert) {
      errors_.add(traits.units_field, Rule::unknown, "must be {}", units_of(vital));
      sign_.values[index].reset();  // its range is not known
    }
    std::optional<double>& value = sign_.values[index];
    if (!value) return;
    if (has_unit) value = (*convert)(*value);
    bool possible =
        has_unit ? holds_converted(traits.possible, *value) : traits.possible.holds(*value);
    if (possible || !limits_.possible_only) return;
    errors_.add(traits.field, Rule::range, "must be from {} to {} {}", traits.possible.low,
                traits.possible.high, traits.unit);
    value.reset();
  }

  void check_pressures() {
    const auto& systolic = sign_.value(Vital::systolic);
    const auto& diastolic = sign_.value(Vital::diastolic);
    if (!systolic || !diastolic || *diastolic < *systolic || !limits_.possible_only) return;
    errors_.add(traits_of(Vital::diastolic).field, Rule::range, "must be below systolic");
  }

  FieldReader fields_;
  ingest::FieldErrors& errors_;
  const VitalLimits& limits_;
  VitalSign& sign_;
  std::uint32_t units_seen_ = 0;
  std::uint32_t unknown_units_ = 0;
};

/// Device and counter as one text. A device's id holds no control characters, so that no two pairs
/// make the same one.
std::string_view sender_id(const VitalSign& sign, ingest::Scratch& scratch) {
  if (!sign.sequence) return {};
  constexpr std::size_t digits_max = 20;
  std::size_t room = sign.device_id.size() + 1 + digits_max;
  char* begin = scratch.reserve(room);
  char* to = begin + sign.device_id.copy(begin, sign.device_id.size());
  *to++ = '\0';
  to = std::to_chars(to, begin + room, *sign.sequence).ptr;
  auto size = static_cast<std::size_t>(to - begin);
  scratch.commit(size);
  return {begin, size};
}

}  // namespace

bool read_vital_sign(ingest::JsonReader& reader, ingest::DecodeContext& context,
                     const VitalLimits& limits, VitalSign& out) {
  return VitalSignReader(reader, context, limits, out).read();
}

std::uint8_t flags_of(const VitalSign& sign, const VitalLimits& limits,
                      std::int64_t received_ns) noexcept {
  std::uint8_t flags = ingest::time_flags(sign.timestamp.instant.unix_ns, received_ns, limits.time);
  if (sign.patient_id.empty()) flags |= unattributed;
  if (sign.any_unusual()) flags |= unusual_value;
  if (sign.timestamp.other_unit) flags |= timestamp_unit_assumed;
  return flags;
}

bool VitalSignDecoder::decode(ingest::JsonReader& reader, ingest::DecodeContext& context,
                              ingest::Decoded& out) const {
  VitalSign sign;
  if (!read_vital_sign(reader, context, limits_, sign)) return false;
  out.study = sign.trial_id;
  out.sender_id = sender_id(sign, context.scratch);
  out.subject = sign.device_id;
  out.key = sign.device_id;
  out.about = {sign.patient_id, sign.trial_id, {}};
  out.instant_ns = sign.timestamp.instant.unix_ns;
  out.flags = flags_of(sign, limits_, context.received_ns);
  out.unknown_fields = sign.unknown_fields;
  return true;
}

}  // namespace trialwire::vitals
