// SPDX-License-Identifier: Apache-2.0
#include "pipeline/batch_rule.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace trialwire::pipeline {

BatchRule::BatchRule(BatchLimits limits) : limits_(std::move(limits)) {
  rules_.push_back(
      {.records = limits_.records, .delay = limits_.delay, .records_max = limits_.records_max});
  for (const KindBatch& kind : limits_.kinds) {
    auto index = static_cast<std::size_t>(kind.kind);
    TW_CHECK(index < kinds_max && rule_of_kind_[index] == general);
    rule_of_kind_[index] = static_cast<std::uint8_t>(rules_.size());
    rules_.push_back(kind);
  }
  counts_.resize(rules_.size());
}

void BatchRule::add(const journal::Record& record, std::size_t bytes, Time now) noexcept {
  auto kind = static_cast<std::size_t>(record.attributes.kind);
  Count& count = counts_[kind < kinds_max ? rule_of_kind_[kind] : general];
  if (count.records++ == 0) count.first = now;
  ++records_;
  bytes_ = bytes;
}

void BatchRule::clear() noexcept {
  std::ranges::fill(counts_, Count{});
  records_ = 0;
  bytes_ = 0;
}

bool BatchRule::full(bool small) const noexcept {
  std::size_t most = small ? std::min(limits_.records, limits_.records_max) : limits_.records_max;
  if (records_ >= most || bytes_ >= limits_.bytes_max) return true;
  for (std::size_t i = 1; i < rules_.size(); ++i) {
    std::size_t most_of_kind =
        small ? std::min(rules_[i].records, rules_[i].records_max) : rules_[i].records_max;
    if (counts_[i].records >= most_of_kind) return true;
  }
  return false;
}

BatchRule::Time BatchRule::due(Time last_delivery) const noexcept {
  Time latest = Time::max();
  bool enough = records_ >= limits_.records;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    if (counts_[i].records == 0) continue;
    latest = std::min(latest, counts_[i].first + rules_[i].delay);
    enough = enough || counts_[i].records >= rules_[i].records;
  }
  return enough ? std::min(latest, last_delivery + limits_.delivery_interval) : latest;
}

}  // namespace trialwire::pipeline
