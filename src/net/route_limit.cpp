// SPDX-License-Identifier: Apache-2.0
#include "net/route_limit.hpp"

#include <chrono>

#include "telemetry/metrics.hpp"

namespace trialwire::net {

RouteLimit::RouteLimit(const RouteLimitOptions& options, std::size_t keys_max,
                       const std::string& server, telemetry::Registry& metrics)
    : concurrent_max_(options.concurrent_max),
      flying_(std::make_shared<std::atomic<std::size_t>>(0)) {
  const telemetry::Labels labels{{"server", server}, {"prefix", options.prefix}};
  auto limit = [&](std::string_view name, std::string_view help, double value) {
    metrics.gauge(name, help, labels).set(value);
  };
  limit("trialwire_route_limit_in_flight_max",
        "Limit of requests under way below a path; 0 is none.",
        static_cast<double>(options.concurrent_max));
  limit("trialwire_route_limit_address_rate_per_second_max",
        "Requests a second of one address below a path; 0 is no limit.",
        static_cast<double>(options.address.per_second));
  limit("trialwire_route_limit_deadline_seconds",
        "Time for an answer below a path; 0 is that of all routes.",
        std::chrono::duration<double>(options.deadline).count());
  limit("trialwire_route_limit_body_bytes_max",
        "Limit of a request's body below a path; 0 is that of all routes.",
        static_cast<double>(options.body_bytes_max));
  metrics.observe("trialwire_route_limit_in_flight", "Requests under way below a path.", labels,
                  [flying = flying_] { return static_cast<double>(flying->load()); });
  if (options.address.per_second == 0) return;
  rates_ = std::make_shared<RateTable>(RateTableOptions{.name = "route",
                                                        .per_second = options.address.per_second,
                                                        .burst = options.address.burst,
                                                        .keys_max = keys_max});
  metrics.observe("trialwire_route_limit_addresses", "Addresses whose rate below a path is known.",
                  labels, [table = rates_] { return static_cast<double>(table->keys()); });
  metrics.observe("trialwire_route_limit_addresses_max",
                  "Limit of addresses whose rate below a path is known.", labels,
                  [table = rates_] { return static_cast<double>(table->keys_max()); });
  metrics.observe_total("trialwire_route_limit_addresses_unknown_total",
                        "Requests that shared one rate below a path, for all places were taken.",
                        labels, [table = rates_] { return static_cast<double>(table->shared()); });
}

bool RouteLimit::fly() noexcept {
  const std::size_t before = flying_->fetch_add(1, std::memory_order_relaxed);
  if (concurrent_max_ == 0 || before < concurrent_max_) return true;
  land();
  return false;
}

}  // namespace trialwire::net
