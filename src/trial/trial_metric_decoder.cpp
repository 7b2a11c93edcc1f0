// SPDX-License-Identifier: Apache-2.0
#include "trial/trial_metric_decoder.hpp"

#include <array>

namespace trialwire::trial {
namespace {

using ingest::FieldOutcome;
using ingest::FieldReader;
using ingest::JsonString;
using ingest::Rule;

enum Field : std::size_t {
  metric_id,
  study_id,
  site_id,
  value,
  timestamp,
  annotations,
  field_count,
};
// Each field's name as clients of today write it, then as older ones do.
constexpr std::array<std::string_view, 2 * field_count> names{
    "metricId", "studyId", "siteId", "value", "timestamp", "annotations",
    "MetricID", "StudyID", "SiteID", "Value", "Timestamp", "Annotations"};
constexpr std::array<Field, 4> required{metric_id, study_id, site_id, value};

class MetricReader {
 public:
  MetricReader(ingest::JsonReader& reader, ingest::DecodeContext& context,
               const MetricLimits& limits, TrialMetric& out)
      : fields_(reader, context), errors_(context.errors), limits_(limits), metric_(out) {}

  bool read() {
    std::uint64_t seen = 0;
    std::uint64_t given = 0;  // with a value, be it a wrong one
    bool older = false;       // the record's names are those of older clients
    bool well_formed = fields_.object<names>([&](std::size_t index) {
      std::size_t field = index % field_count;
      std::uint64_t bit = std::uint64_t{1} << field;
      older = older || index >= field_count;
      if ((seen & bit) != 0) {  // once in each spelling
        errors_.add(names[index], Rule::duplicate, "must be given only once");
        fields_.json().skip_value();
        return;
      }
      seen |= bit;
      if (read_field(field, names[index]) != FieldOutcome::absent) given |= bit;
    });
    if (!well_formed) return false;
    for (Field field : required) {
      if ((given >> field & 1) != 0) continue;
      errors_.add(names[field + (older ? field_count : 0)], Rule::required, "is required");
    }
    if ((given >> timestamp & 1) == 0) {
      metric_.timestamp = {{}, {fields_.context().received_ns, 0}, false};
    }
    metric_.unknown_fields = fields_.unknown_fields();
    return true;
  }

 private:
  FieldOutcome read_field(std::size_t field, std::string_view name) {
    switch (field) {
      case metric_id:
        return fields_.text(name, {1, limits_.metric_id_characters_max}, metric_.metric_id);
      case study_id:
        return fields_.text(name, {1, limits_.study_id_characters_max}, metric_.study_id);
      case site_id:
        return fields_.text(name, {1, limits_.site_id_characters_max}, metric_.site_id);
      case value: {
        std::string_view written;
        return fields_.real(name, written, metric_.value);
      }
      case timestamp:
        return fields_.moment(name, metric_.timestamp);
      default:
        return read_annotations(name);
    }
  }

  /// The array becomes a text as it was written.
  FieldOutcome read_annotations(std::string_view name) {
    ingest::JsonReader& json = fields_.json();
    char c = json.peek();
    if (c != '[') {
      if (c != 'n') return fields_.wrong_type(name, "an array of strings");
      return json.literal() ? FieldOutcome::absent : FieldOutcome::error;
    }
    const char* start = json.position();
    if (!json.open('[')) return FieldOutcome::error;
    std::size_t items = 0;
    bool first = true;
    while (json.next_element(first)) {
      ++items;
      if (items <= limits_.annotations_max) {
        read_annotation(name, items);
      } else {
        json.skip_value();
      }
      if (json.failed()) return FieldOutcome::error;
    }
    if (items > limits_.annotations_max) {
      errors_.add(name, Rule::length, "must have at most {} items", limits_.annotations_max);
    }
    metric_.annotations = json.since(start);
    return FieldOutcome::value;
  }

  void read_annotation(std::string_view name, std::size_t item) {
    ingest::JsonReader& json = fields_.json();
    if (json.peek() != '"') {
      if (json.skip_value()) errors_.add(name, Rule::type, "item {} must be a string", item);
      return;
    }
    if (JsonString text = json.string()) {
      fields_.item_text(name, item, text, limits_.annotation_bytes_max);
    }
  }

  FieldReader fields_;
  ingest::FieldErrors& errors_;
  const MetricLimits& limits_;
  TrialMetric& metric_;
};

}  // namespace

bool read_metric(ingest::JsonReader& reader, ingest::DecodeContext& context,
                 const MetricLimits& limits, TrialMetric& out) {
  return MetricReader(reader, context, limits, out).read();
}

std::uint8_t flags_of(const TrialMetric& metric, const MetricLimits& limits,
                      std::int64_t received_ns) noexcept {
  std::uint8_t flags =
      ingest::time_flags(metric.timestamp.instant.unix_ns, received_ns, limits.time);
  if (metric.timestamp.other_unit) flags |= timestamp_unit_assumed;
  return flags;
}

bool TrialMetricDecoder::decode(ingest::JsonReader& reader, ingest::DecodeContext& context,
                                ingest::Decoded& out) const {
  TrialMetric metric;
  if (!read_metric(reader, context, limits_, metric)) return false;
  out.study = metric.study_id;
  out.subject = metric.metric_id;
  out.key = metric.study_id;
  out.about = {{}, metric.study_id, metric.site_id};
  out.instant_ns = metric.timestamp.instant.unix_ns;
  out.flags = flags_of(metric, limits_, context.received_ns);
  out.unknown_fields = metric.unknown_fields;
  return true;
}

}  // namespace trialwire::trial
