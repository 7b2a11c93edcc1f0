// SPDX-License-Identifier: Apache-2.0
// What calls of one target came to: trialwire_outbound_*, labelled with its name.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "telemetry/metrics.hpp"

namespace trialwire::outbound {

enum class Outcome : std::uint8_t {
  answered,  // status below 400
  status_4xx,
  status_5xx,
  timeout,
  unreachable,
  not_trusted,
  cut_off,
  too_large,
  cancelled,
  breaker_open,  // not made
  busy,          // not made: too many were under way, or no endpoint is known
  count_,
};

/// Shared with a scrape, which may outlive the target.
struct CallCounts {
  std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Outcome::count_)> outcomes{};
  std::atomic<std::uint64_t> retries{0};
  std::atomic<std::uint64_t> retries_refused{0};
  std::atomic<std::uint32_t> in_flight{0};
  std::atomic<std::uint32_t> endpoints{0};
  std::atomic<double> retries_left{0};

  void count(Outcome outcome) noexcept {
    outcomes[static_cast<std::size_t>(outcome)].fetch_add(1, std::memory_order_relaxed);
  }
};

struct CallLimits {
  std::uint32_t concurrent_max = 0;
  std::uint32_t retries_max = 0;
  std::size_t answer_bytes_max = 0;
};

/// Registers all of it but the time that calls take.
void show(const std::string& target, const std::shared_ptr<const CallCounts>& counts,
          const CallLimits& limits, telemetry::Registry& metrics);
telemetry::Histogram& call_seconds(const std::string& target, telemetry::Registry& metrics);

}  // namespace trialwire::outbound
