// SPDX-License-Identifier: Apache-2.0
#include "trial/metric_rows.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ingest/stored_reader.hpp"
#include "ingest/time_text.hpp"
#include "trial/trial_metric_decoder.hpp"

namespace trialwire::trial {
namespace {

using storage::Value;

enum Column : std::size_t {
  metric_id,
  trial_id,
  site_id,
  value,
  timestamp,
  timestamp_ns,
  annotations,
  column_count,
};

constexpr std::array<std::string_view, column_count> columns{
    "metric_id", "trial_id", "site_id", "value", "timestamp", "timestamp_ns", "annotations"};
constexpr std::array<std::string_view, 5> names_of_flags{"timestamp_in_future", "timestamp_in_past",
                                                         "", "", "timestamp_unit_assumed"};
static_assert(timestamp_in_future == 1 && timestamp_in_past == 2 && timestamp_unit_assumed == 16);
constexpr storage::RowTable trial_metrics{"trial_metrics", "trial_metric_identities", columns,
                                          "trial_id", names_of_flags};

class MetricRows final : public storage::RowMapper {
 public:
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::trial_metric; }
  const storage::RowTable& table() const noexcept override { return trial_metrics; }

  bool map(const journal::Record& record, std::span<Value> row) override {
    TrialMetric metric;
    auto read = reader_.read(record, "trial metric",
                             [&](ingest::JsonReader& reader, ingest::DecodeContext& context) {
                               return read_metric(reader, context, no_limits(), metric);
                             });
    if (!read) {
      row[timestamp_ns] = record.attributes.received_ns;  // so that it has a place in the list
      return false;
    }
    row[metric_id] = metric.metric_id;
    row[trial_id] = metric.study_id;
    row[site_id] = metric.site_id;
    row[value] = metric.value;
    row[timestamp] = time_text_(metric.timestamp);
    row[timestamp_ns] = metric.timestamp.instant.unix_ns;
    if (!metric.annotations.empty()) row[annotations] = metric.annotations;
    return true;
  }

 private:
  ingest::StoredReader reader_;
  ingest::TimeText time_text_;
};

}  // namespace

std::span<const std::string_view> flag_names() noexcept {
  return names_of_flags;
}

std::unique_ptr<storage::RowMapper> make_rows() {
  return std::make_unique<MetricRows>();
}

}  // namespace trialwire::trial
