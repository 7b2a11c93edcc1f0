// SPDX-License-Identifier: Apache-2.0
#include "net/http_metrics.hpp"

#include <chrono>
#include <limits>
#include <utility>

#include "telemetry/log.hpp"

namespace trialwire::net {

HttpMetrics::HttpMetrics(telemetry::Registry& registry, std::string server, std::size_t routes,
                         const RequestLog& log)
    : accepted(registry.counter("trialwire_http_connections_accepted_total",
                                "Connections accepted.", {{"server", server}})),
      turned_away(registry.counter("trialwire_http_connections_refused_total",
                                   "Connections answered 503 because there were too many.",
                                   {{"server", server}})),
      bytes_in(registry.counter("trialwire_http_received_bytes_total",
                                "Bytes read from connections.", {{"server", server}})),
      bytes_out(registry.counter("trialwire_http_sent_bytes_total", "Bytes written to connections.",
                                 {{"server", server}})),
      handler_exceptions(registry.counter("trialwire_http_handler_exceptions_total",
                                          "Handlers left by an exception and answered 500.",
                                          {{"server", server}})),
      tls_handshakes(registry.counter("trialwire_tls_handshakes_total",
                                      "TLS handshakes, by what became of them.",
                                      {{"server", server}, {"result", "ok"}})),
      tls_handshakes_failed(registry.counter("trialwire_tls_handshakes_total", "",
                                             {{"server", server}, {"result", "failed"}})),
      open(registry.gauge("trialwire_http_connections", "Connections open.", {{"server", server}})),
      partial_bytes(registry.gauge("trialwire_http_partial_bytes",
                                   "Memory held by incomplete requests.", {{"server", server}})),
      registry_(registry),
      log_every_(log.every),
      slow_s_(log.slow.count() > 0 ? std::chrono::duration<double>(log.slow).count()
                                   : std::numeric_limits<double>::infinity()),
      slow_rate_(log.slow_lines, log.slow_lines),
      slow_(registry.counter("trialwire_http_slow_requests_total",
                             "Requests that took log.slow_request or longer.",
                             {{"server", server}})),
      server_(std::move(server)),
      routes_(routes + 1) {
  for (std::size_t kind = 0; kind < timeouts_.size(); ++kind) {
    timeouts_[kind] = &registry_.counter(
        "trialwire_http_timeouts_total", "Connections whose wait was over the limit.",
        {{"server", server_}, {"kind", std::string(timeout_names[kind])}});
  }
}

telemetry::Counter& HttpMetrics::cell(PerRoute& place, const Route* route, Method method,
                                      Status status) {
  for (Cell& known : place.cells)
    if (known.status == status && known.method == method) return *known.counter;
  auto& counter = registry_.counter("trialwire_http_requests_total", "Requests answered.",
                                    {{"server", server_},
                                     {"route", route == nullptr ? "none" : route->pattern},
                                     {"method", std::string(name_of(method))},
                                     {"status", std::to_string(status)}});
  place.cells.push_back({method, status, &counter});
  return counter;
}

struct HttpMetrics::Line {
  std::string_view route;
  Method method;
  Status status;
  double seconds;
  const telemetry::RequestTrace* trace;
};

void HttpMetrics::answered(const Route* route, Method method, Status status, double seconds,
                           const telemetry::RequestTrace* trace) {
  PerRoute& place = routes_[route == nullptr ? routes_.size() - 1 : route->index];
  cell(place, route, method, status).add();
  if (place.duration == nullptr) {
    place.duration = &registry_.histogram(
        "trialwire_http_request_duration_seconds", "From the read to the write of the answer.",
        telemetry::latency_seconds_buckets(),
        {{"server", server_}, {"route", route == nullptr ? "none" : route->pattern}});
  }
  place.duration->observe(seconds);
  if (log_every_ || seconds >= slow_s_) [[unlikely]]
    log({.route = route == nullptr ? "none" : std::string_view(route->pattern),
         .method = method,
         .status = status,
         .seconds = seconds,
         .trace = trace});
}

void HttpMetrics::log(const Line& line) noexcept {
  const telemetry::LogField server{"server", std::string_view(server_)};
  const telemetry::LogField method{"method", name_of(line.method)};
  const telemetry::LogField route{"route", line.route};
  const telemetry::LogField status{"status", std::uint64_t{line.status}};
  const telemetry::LogField ms{"ms", line.seconds * 1e3};
  const auto hex =
      telemetry::hex_of(line.trace == nullptr ? telemetry::TraceId{} : line.trace->context.trace);
  const telemetry::LogField trace{"trace", std::string_view(hex.data(), hex.size())};
  const bool traced = line.trace != nullptr;
  if (line.seconds < slow_s_) {
    constexpr auto info = telemetry::LogLevel::info;
    if (traced) {
      telemetry::log(info, "access", "request", {server, method, route, status, ms, trace});
    } else {
      telemetry::log(info, "access", "request", {server, method, route, status, ms});
    }
    return;
  }
  slow_.add();
  const std::chrono::nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
  if (!log_every_ && !slow_lines_.take(slow_rate_, now.count())) {
    ++not_logged_;
    return;
  }
  const telemetry::LogField left_out{"not_logged", std::exchange(not_logged_, 0)};
  constexpr auto warn = telemetry::LogLevel::warn;
  constexpr std::string_view slow = "slow request";
  if (traced) {
    telemetry::log(warn, "access", slow, {server, method, route, status, ms, left_out, trace});
  } else {
    telemetry::log(warn, "access", slow, {server, method, route, status, ms, left_out});
  }
}

void HttpMetrics::refused(Status status) {
  for (auto& [known, counter] : refusals_) {
    if (known != status) continue;
    counter->add();
    return;
  }
  auto& counter = registry_.counter("trialwire_http_refused_requests_total",
                                    "Requests refused before they had a route.",
                                    {{"server", server_}, {"status", std::to_string(status)}});
  refusals_.emplace_back(status, &counter);
  counter.add();
}

}  // namespace trialwire::net
