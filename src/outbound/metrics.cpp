// SPDX-License-Identifier: Apache-2.0
#include "outbound/metrics.hpp"

namespace trialwire::outbound {
namespace {

constexpr std::array<const char*, static_cast<std::size_t>(Outcome::count_)> names{
    "answered", "status_4xx", "status_5xx", "timeout",      "unreachable", "not_trusted",
    "cut_off",  "too_large",  "cancelled",  "breaker_open", "busy"};

}  // namespace

void show(const std::string& target, const std::shared_ptr<const CallCounts>& counts,
          const CallLimits& limits, telemetry::Registry& metrics) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    metrics.observe_total(
        "trialwire_outbound_calls_total",
        "Calls of another server, by what became of them; breaker_open and busy: not made.",
        {{"target", target}, {"outcome", names[i]}},
        [counts, i] { return static_cast<double>(counts->outcomes[i].load()); });
  }
  const auto total = [&](const char* name, const char* help, auto member) {
    metrics.observe_total(name, help, {{"target", target}}, [counts, member] {
      return static_cast<double>(((*counts).*member).load());
    });
  };
  const auto now = [&](const char* name, const char* help, auto member) {
    metrics.observe(name, help, {{"target", target}},
                    [counts, member] { return static_cast<double>(((*counts).*member).load()); });
  };
  const auto limit = [&](const char* name, const char* help, double value) {
    metrics.gauge(name, help, {{"target", target}}).set(value);
  };
  total("trialwire_outbound_retries_total", "Second and further attempts of calls.",
        &CallCounts::retries);
  total("trialwire_outbound_retries_refused_total",
        "Attempts that were not made for want of a retry in the budget.",
        &CallCounts::retries_refused);
  now("trialwire_outbound_in_flight", "Calls under way.", &CallCounts::in_flight);
  now("trialwire_outbound_endpoints", "Servers of the target that are known.",
      &CallCounts::endpoints);
  now("trialwire_outbound_retry_budget", "Retries that may be made.", &CallCounts::retries_left);
  limit("trialwire_outbound_in_flight_max", "Limit of calls under way.", limits.concurrent_max);
  limit("trialwire_outbound_retry_budget_max", "Limit of the retries that may be made.",
        limits.retries_max);
  limit("trialwire_outbound_answer_bytes_max", "Limit of an answer's body.",
        static_cast<double>(limits.answer_bytes_max));
}

telemetry::Histogram& call_seconds(const std::string& target, telemetry::Registry& metrics) {
  return metrics.histogram("trialwire_outbound_call_seconds",
                           "How long calls of another server took, retries included.",
                           telemetry::latency_seconds_buckets(), {{"target", target}});
}

}  // namespace trialwire::outbound
