// SPDX-License-Identifier: Apache-2.0
// The text of /metrics, read back: samples by name and labels. Pure.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trialwire {

using MetricLabels = std::map<std::string, std::string, std::less<>>;

struct MetricSample {
  MetricLabels labels;
  double value = 0;
};

class MetricsPage {
 public:
  /// Lines that are no samples are passed over.
  explicit MetricsPage(std::string_view text);

  /// Of that name whose labels include `labels`, in the order of the text.
  std::vector<MetricSample> all(std::string_view name, const MetricLabels& labels = {}) const;
  /// Their sum; nothing when there are none.
  std::optional<double> sum(std::string_view name, const MetricLabels& labels = {}) const;
  double sum_or_zero(std::string_view name, const MetricLabels& labels = {}) const {
    return sum(name, labels).value_or(0);
  }

 private:
  std::map<std::string, std::vector<MetricSample>, std::less<>> samples_;
};

}  // namespace trialwire
