// SPDX-License-Identifier: Apache-2.0
// What one prefix of paths (AdmissionOptions::routes) limits beside what holds for all routes: the
// rate of an address on its routes, and requests under way on them. Deadline and size of a body
// are the route's own (Router::limit). Any thread; nothing allocates per request.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/admission_options.hpp"
#include "net/rate_table.hpp"

namespace trialwire::telemetry {
class Registry;
}

namespace trialwire::net {

class RouteLimit {
 public:
  /// `keys_max`: addresses that are told apart. `server` and the prefix are labels of metrics.
  RouteLimit(const RouteLimitOptions& options, std::size_t keys_max, const std::string& server,
             telemetry::Registry& metrics);

  bool limits_addresses() const noexcept { return rates_ != nullptr; }
  /// Only where it limits addresses.
  RateTable& rates() noexcept { return *rates_; }

  /// True: one more is under way, until `land`.
  bool fly() noexcept;
  void land() noexcept { flying_->fetch_sub(1, std::memory_order_relaxed); }

 private:
  const std::size_t concurrent_max_;
  std::shared_ptr<RateTable> rates_;  // with scrapes, which may outlive this; null: no limit
  std::shared_ptr<std::atomic<std::size_t>> flying_;  // likewise
};

}  // namespace trialwire::net
