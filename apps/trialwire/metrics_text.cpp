// SPDX-License-Identifier: Apache-2.0
#include "metrics_text.hpp"

#include <algorithm>
#include <cstdlib>

namespace trialwire {
namespace {

/// `name="value",…` up to the closing brace, which is passed over. False: it is none.
bool take_labels(std::string_view& text, MetricLabels& labels) {
  while (!text.empty() && text.front() != '}') {
    std::size_t equals = text.find("=\"");
    if (equals == std::string_view::npos) return false;
    std::string name(text.substr(0, equals));
    text.remove_prefix(equals + 2);
    std::string value;
    while (!text.empty() && text.front() != '"') {
      if (text.front() == '\\' && text.size() > 1) text.remove_prefix(1);
      value += text.front();
      text.remove_prefix(1);
    }
    if (text.empty()) return false;
    text.remove_prefix(1);
    labels.emplace(std::move(name), std::move(value));
    if (!text.empty() && text.front() == ',') text.remove_prefix(1);
  }
  if (text.empty()) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

MetricsPage::MetricsPage(std::string_view text) {
  while (!text.empty()) {
    std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    std::size_t name_end = line.find_first_of("{ ");
    if (name_end == std::string_view::npos) continue;
    std::string name(line.substr(0, name_end));
    line.remove_prefix(name_end);
    MetricSample sample;
    if (line.front() == '{') {
      line.remove_prefix(1);
      if (!take_labels(line, sample.labels)) continue;
    }
    sample.value = std::strtod(std::string(line).c_str(), nullptr);
    samples_[std::move(name)].push_back(std::move(sample));
  }
}

std::vector<MetricSample> MetricsPage::all(std::string_view name,
                                           const MetricLabels& labels) const {
  std::vector<MetricSample> found;
  auto samples = samples_.find(name);
  if (samples == samples_.end()) return found;
  for (const MetricSample& sample : samples->second) {
    bool has = std::ranges::all_of(labels, [&](const auto& label) {
      auto at = sample.labels.find(label.first);
      return at != sample.labels.end() && at->second == label.second;
    });
    if (has) found.push_back(sample);
  }
  return found;
}

std::optional<double> MetricsPage::sum(std::string_view name, const MetricLabels& labels) const {
  auto found = all(name, labels);
  if (found.empty()) return std::nullopt;
  double total = 0;
  for (const MetricSample& sample : found) total += sample.value;
  return total;
}

}  // namespace trialwire
