// SPDX-License-Identifier: Apache-2.0
#include "resilience/endpoint_choice.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace trialwire::resilience {
namespace {

constexpr double decay_ns = 10e9;
constexpr double unknown_latency_ns = 1e9;
constexpr std::int64_t idle_ns_max = 1'000'000'000;
constexpr double healthy_min = 0.5;

}  // namespace

double load_of(const EndpointState& endpoint) noexcept {
  if (!endpoint.known && endpoint.in_flight == 0) return 1;
  const double latency_ns = endpoint.known ? endpoint.latency_ns : unknown_latency_ns;
  return std::sqrt(latency_ns + 1) * (endpoint.in_flight + 1);
}

bool is_healthy(const EndpointState& endpoint) noexcept {
  return endpoint.success > healthy_min;
}

std::size_t choose_of_two(std::span<EndpointState* const> endpoints, std::size_t a, std::size_t b,
                          std::int64_t now_ns) noexcept {
  const bool well_a = is_healthy(*endpoints[a]), well_b = is_healthy(*endpoints[b]);
  const bool b_first = well_a == well_b ? load_of(*endpoints[b]) < load_of(*endpoints[a]) : well_b;
  if (b_first) std::swap(a, b);
  const std::size_t chosen = now_ns - endpoints[b]->picked_ns > idle_ns_max ? b : a;
  endpoints[chosen]->picked_ns = now_ns;
  return chosen;
}

void begin(EndpointState& endpoint) noexcept {
  ++endpoint.in_flight;
}

void end(EndpointState& endpoint, std::int64_t now_ns, std::int64_t took_ns, bool well) noexcept {
  withdraw(endpoint);
  const auto since = static_cast<double>(std::max<std::int64_t>(now_ns - endpoint.answered_ns, 0));
  const auto took = static_cast<double>(std::max<std::int64_t>(took_ns, 0));
  const double kept = std::exp(-since / decay_ns);
  endpoint.latency_ns = endpoint.known ? endpoint.latency_ns * kept + took * (1 - kept) : took;
  // Before any answer an endpoint is taken for well, as of now.
  const double of_success = endpoint.known ? kept : well ? 1.0 : healthy_min;
  endpoint.success = endpoint.success * of_success + (well ? 1.0 : 0.0) * (1 - of_success);
  endpoint.known = true;
  endpoint.answered_ns = now_ns;
}

void withdraw(EndpointState& endpoint) noexcept {
  if (endpoint.in_flight > 0) --endpoint.in_flight;
}

}  // namespace trialwire::resilience
