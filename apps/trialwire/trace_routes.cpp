// SPDX-License-Identifier: Apache-2.0
#include "trace_routes.hpp"

#include <unistd.h>

#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "audit/entry.hpp"
#include "net/exchange.hpp"
#include "net/response.hpp"
#include "version.hpp"

namespace trialwire {
namespace {

constexpr std::size_t usual_limit = 200;
constexpr std::size_t limit_max = 10'000;
constexpr std::string_view json = "application/json";

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

/// Shown when it is written down who sees it.
class TracesAnswer final : public net::DeferredAnswer, public journal::Waiter {
 public:
  explicit TracesAnswer(std::string text) : text_(std::move(text)) {}
  void render(net::ResponseWriter& writer) override {
    if (!noted_) return writer.problem(ErrorCode::unavailable, act_unaudited);
    writer.start(200).body(json, text_);
  }
  void committed(const journal::Receipt& receipt) noexcept override {
    noted_ = receipt.state == journal::Receipt::State::durable;
    complete();
  }

 private:
  std::string text_;
  bool noted_ = false;
};

void answer_traces(const telemetry::Tracer* tracer, OperatorLog* log, net::Exchange& exchange) {
  if (tracer == nullptr) {
    return exchange.fail({ErrorCode::not_found, "trace.spans is 0: nothing is traced"});
  }
  const auto limit = limit_of(exchange.request().query);
  if (!limit) {
    return exchange.fail({ErrorCode::invalid_argument,
                          fmt::format("limit must be a whole number from 1 to {}", limit_max)});
  }
  auto why = audit_reason_of(exchange);
  if (!why) return;
  const auto spans = tracer->recent(*limit);
  std::string text = telemetry::otlp_json(spans, trace_resource());
  if (log == nullptr) return exchange.respond(200, json, text);
  if (!log->takes_entries()) {
    return exchange.fail({ErrorCode::unavailable, std::string(act_unaudited)});
  }
  auto& answer = exchange.defer<TracesAnswer>(std::move(text));
  log->note(exchange,
            {.what = audit::what_read,
             .why = std::move(*why),
             .detail = fmt::format(R"({{"limit":{}}})", *limit),
             .rows = spans.size()},
            answer);
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

Result<void> add_trace_route(net::Router& router, const telemetry::Tracer* tracer,
                             OperatorLog* log) {
  return router.add(net::Method::get, "/debug/traces", [tracer, log](net::Exchange& exchange) {
    answer_traces(tracer, log, exchange);
  });
}

}  // namespace trialwire
