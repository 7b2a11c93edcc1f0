// SPDX-License-Identifier: Apache-2.0
#include "net/request_traces.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

namespace trialwire::net {
namespace {

using telemetry::RequestTrace;
using telemetry::Span;
using telemetry::TraceContext;

constexpr double whole = 4'294'967'296.0;  // 2^32

std::uint64_t random_start() noexcept {
  std::uint64_t word = 0;
  const telemetry::SpanId id = telemetry::new_span_id();
  std::memcpy(&word, id.data(), sizeof word);
  return word;
}

}  // namespace

RequestTraces::RequestTraces(const TraceOptions& options, const std::string& server,
                             telemetry::Registry& metrics)
    : tracer_(options.tracer),
      callers_(options.callers),
      dice_(random_start()),
      rate_(options.per_second, options.per_second),
      traced_(metrics.counter("trialwire_traces_total", "Requests that came up for a trace.",
                              {{"server", server}, {"result", "traced"}})),
      limited_(metrics.counter("trialwire_traces_total", "",
                               {{"server", server}, {"result", "over_the_limit"}})),
      malformed_(metrics.counter("trialwire_traces_total", "",
                                 {{"server", server}, {"result", "malformed"}})) {
  if (tracer_ == nullptr) return;
  threshold_ =
      static_cast<std::uint64_t>(std::llround(std::clamp(options.ratio, 0.0, 1.0) * whole));
}

std::optional<RequestTrace> RequestTraces::begin(const Request& request, std::int64_t began_unix_ns,
                                                 std::int64_t now_ns) noexcept {
  if (tracer_ == nullptr) return std::nullopt;
  std::string_view parent;
  unsigned parents = 0;
  for (const HeaderField& header : request.headers) {
    if (!equal_ignoring_case(header.name, "traceparent")) continue;
    parent = header.value;
    ++parents;
  }
  // Of two it is not known whose they are.
  const auto caller = parents == 1 ? telemetry::parse_traceparent(parent) : std::nullopt;
  if (parents > 0 && !caller) malformed_.add();
  if (caller && callers_) {
    if (!caller->sampled) return std::nullopt;
  } else {
    dice_ = dice_ * 6364136223846793005ULL + 1442695040888963407ULL;  // Knuth's MMIX
    if (dice_ >> 32 >= threshold_) return std::nullopt;
  }
  if (!bucket_.take(rate_, now_ns)) {
    limited_.add();
    return std::nullopt;
  }
  traced_.add();
  RequestTrace trace{.tracer = tracer_, .begin_unix_ns = began_unix_ns};
  trace.context = {.trace = caller ? caller->trace : telemetry::new_trace_id(),
                   .span = telemetry::new_request_span_id(),
                   .sampled = true};
  if (caller) trace.parent = caller->span;
  return trace;
}

void RequestTraces::end(const RequestTrace& trace, const Answered& answered) noexcept {
  Span span{.trace = trace.context.trace,
            .id = trace.context.span,
            .parent = trace.parent,
            .kind = telemetry::SpanKind::server,
            .failed = answered.status >= 500,
            .begin_unix_ns = trace.begin_unix_ns,
            .end_unix_ns = telemetry::span_clock_ns()};
  std::array<char, Span::name_bytes_max> name;
  const auto made = fmt::format_to_n(
      name.data(), name.size(), "{} {}", name_of(answered.method),
      answered.route == nullptr ? "none" : std::string_view(answered.route->pattern));
  span.set_name({name.data(), std::min(made.size, name.size())});
  span.add({"http.response.status_code", answered.status});
  trace.tracer->record(span);
}

}  // namespace trialwire::net
