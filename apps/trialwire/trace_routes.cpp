// SPDX-License-Identifier: Apache-2.0
#include "trace_routes.hpp"

#include <unistd.h>

#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "net/exchange.hpp"
#include "version.hpp"

namespace trialwire {
namespace {

constexpr std::size_t usual_limit = 200;
constexpr std::size_t limit_max = 10'000;

std::optional<std::size_t> limit_of(std::string_view query) {
  constexpr std::string_view name = "limit=";
  if (query.empty()) return usual_limit;
  if (!query.starts_with(name)) return std::nullopt;
  query.remove_prefix(name.size());
  std::size_t limit = 0;
  const auto [end, error] = std::from_chars(query.data(), query.data() + query.size(), limit);
  if (error != std::errc() || end != query.data() + query.size()) return std::nullopt;
  if (limit == 0 || limit > limit_max) return std::nullopt;
  return limit;
}

}  // namespace

telemetry::TraceResource trace_resource() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return {.version = std::string(product_version()),
          .instance = fmt::format("{}:{}", host.data(), ::getpid())};
}

void observe_tracer(const telemetry::Tracer& tracer, telemetry::Registry& metrics) {
  metrics.observe_total("trialwire_trace_spans_total", "Spans recorded.", {},
                        [&tracer] { return static_cast<double>(tracer.recorded()); });
}

Result<void> add_trace_route(net::Router& router, const telemetry::Tracer* tracer) {
  return router.add(net::Method::get, "/debug/traces", [tracer](net::Exchange& exchange) {
    if (tracer == nullptr) {
      return exchange.fail({ErrorCode::not_found, "trace.spans is 0: nothing is traced"});
    }
    const auto limit = limit_of(exchange.request().query);
    if (!limit) {
      return exchange.fail({ErrorCode::invalid_argument,
                            fmt::format("limit must be a whole number from 1 to {}", limit_max)});
    }
    exchange.respond(200, "application/json",
                     telemetry::otlp_json(tracer->recent(*limit), trace_resource()));
  });
}

}  // namespace trialwire
