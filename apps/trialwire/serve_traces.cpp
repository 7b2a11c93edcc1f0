// SPDX-License-Identifier: Apache-2.0
#include "serve_traces.hpp"

#include <charconv>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "outbound/endpoints.hpp"
#include "trace_routes.hpp"

namespace trialwire {
namespace {

std::chrono::milliseconds in_ms(config::Duration time) {
  return std::chrono::ceil<std::chrono::milliseconds>(time);
}

outbound::HttpTargetOptions target_options(const config::Settings& settings, bool tls) {
  const config::TraceExportSettings& traces = settings.trace.export_;
  auto options = http_target_options(settings.services, "otlp");
  options.tls = tls;
  if (!traces.ca.empty()) options.files.ca = traces.ca;
  options.deadline = in_ms(traces.deadline);
  options.concurrent_max = 1;
  options.retries = 0;  // what is sent again waits longer than a call may
  return options;
}

/// Of Retry-After in seconds; 0 for a date, which collectors do not send, or none.
std::chrono::seconds seconds_of(std::string_view text) noexcept {
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return std::chrono::seconds(whole ? seconds : 0);
}

}  // namespace

Result<std::unique_ptr<TraceExportService>> TraceExportService::make(
    const telemetry::Tracer& tracer, OutboundService& outbound, telemetry::Registry& metrics) {
  const config::Settings& settings = outbound.settings();
  if (settings.trace.export_.url.empty()) return nullptr;
  auto url = outbound::parse_http_url(settings.trace.export_.url);
  if (!url) return fail(url.error().code, fmt::format("trace.export.url {}", url.error().text));
  auto& target = outbound.add(
      target_options(settings, url->tls),
      std::make_shared<outbound::FixedEndpoints>(outbound::EndpointList{std::move(url->endpoint)}));
  return std::unique_ptr<TraceExportService>(new TraceExportService(
      settings.trace.export_, std::move(url->target), target, tracer, metrics));
}

TraceExportService::TraceExportService(const config::TraceExportSettings& settings,
                                       std::string path, outbound::HttpTarget& target,
                                       const telemetry::Tracer& tracer,
                                       telemetry::Registry& metrics)
    : path_(std::move(path)),
      target_(target),
      export_(
          {.interval = in_ms(settings.interval), .batch_spans = settings.batch}, tracer,
          trace_resource(),
          [this](TraceExport::Attempt attempt) { return send(std::move(attempt)); }, metrics) {}

Result<CollectorAnswer> TraceExportService::send(TraceExport::Attempt attempt) {
  outbound::HttpRequest request;
  request.method = outbound::HttpMethod::post;
  request.target = path_;
  request.headers = {{"Content-Type", "application/json"}};
  request.body = std::move(attempt.body);
  request.deadline = attempt.deadline;
  request.stop = std::move(attempt.stop);
  auto answer = target_.call(std::move(request));
  if (!answer) return std::unexpected(answer.error());
  return CollectorAnswer{.status = answer->status,
                         .rejected = rejected_spans(answer->body),
                         .retry_after = seconds_of(answer->retry_after)};
}

}  // namespace trialwire
