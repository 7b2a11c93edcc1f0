// SPDX-License-Identifier: Apache-2.0
// From JSON to TrialMetric, in either spelling of its names: metricId or MetricID. Plain functions;
// they are what intake validates with and what a sink decodes the journal with.
#pragma once
#include <cstddef>
#include <limits>

#include "ingest/kind.hpp"
#include "trial/trial_metric.hpp"

namespace trialwire::trial {

struct MetricLimits {
  std::size_t metric_id_characters_max = 255;
  std::size_t study_id_characters_max = 64;  // as a report's trialId, which it names
  std::size_t site_id_characters_max = 255;
  std::size_t annotations_max = 200;
  std::size_t annotation_bytes_max = 4096;
  ingest::TimeTolerance time;
};

/// What was accepted once stays readable, whatever the limits are now.
inline MetricLimits no_limits() noexcept {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  return {most, most, most, most, most, {}};
}

/// False when the JSON is malformed; otherwise true, with what is wrong added to `context.errors`,
/// and `out` complete if nothing is.
bool read_metric(ingest::JsonReader& reader, ingest::DecodeContext& context,
                 const MetricLimits& limits, TrialMetric& out);

/// MetricFlag bits for a metric received at `received_ns`.
std::uint8_t flags_of(const TrialMetric& metric, const MetricLimits& limits,
                      std::int64_t received_ns) noexcept;

/// A metric has no id of its sender's: study, metric, time and content identify it. One without a
/// time of its own is another each time it comes, unless its request has an Idempotency-Key: equal
/// values an hour apart are two.
class TrialMetricDecoder final : public ingest::KindDecoder {
 public:
  explicit TrialMetricDecoder(const MetricLimits& limits) : limits_(limits) {}
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::trial_metric; }
  journal::ContentType content_type() const noexcept override { return journal::ContentType::json; }
  std::string_view label() const noexcept override { return "trial_metric"; }
  std::string_view sender_id_field() const noexcept override { return {}; }
  ingest::AboutFields about_fields() const noexcept override { return {{}, "studyId", "siteId"}; }
  auth::Scope scope() const noexcept override { return auth::Scope::metrics_write; }
  bool decode(ingest::JsonReader& reader, ingest::DecodeContext& context,
              ingest::Decoded& out) const override;

 private:
  MetricLimits limits_;
};

}  // namespace trialwire::trial
