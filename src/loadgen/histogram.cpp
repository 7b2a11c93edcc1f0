// SPDX-License-Identifier: Apache-2.0
#include "loadgen/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace trialwire::loadgen {

void LatencyHistogram::merge(const LatencyHistogram& other) noexcept {
  for (std::size_t i = 0; i < bucket_count; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::uint64_t LatencyHistogram::bucket_end(std::size_t bucket) noexcept {
  if (bucket < (2U << precision_bits)) return bucket;
  const std::size_t octave = (bucket >> precision_bits) - 1;
  const std::uint64_t within = bucket - (octave << precision_bits);
  return ((within + 1) << octave) - 1;
}

std::uint64_t LatencyHistogram::quantile(double fraction) const noexcept {
  if (count_ == 0) return 0;
  const auto wanted = std::clamp<std::uint64_t>(
      static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(count_))), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i + 1 < bucket_count; ++i) {
    seen += counts_[i];
    if (seen >= wanted) return std::min(bucket_end(i), max_);
  }
  return max_;
}

}  // namespace trialwire::loadgen
