// SPDX-License-Identifier: Apache-2.0
// Spans to the collector that trace.export names: OTLP/HTTP in JSON, a target of its own ("otlp")
// with its own breaker, on a thread of its own. What it cannot take concerns nobody else.
#pragma once
#include <memory>
#include <string>

#include "config/settings.hpp"
#include "outbound/http_target.hpp"
#include "serve_outbound.hpp"
#include "telemetry/metrics.hpp"
#include "telemetry/trace/tracer.hpp"
#include "trace_export.hpp"

namespace trialwire {

class TraceExportService {
 public:
  /// Tracer and outbound outlive it. Null: trace.export.url is empty. Error: it is none.
  static Result<std::unique_ptr<TraceExportService>> make(const telemetry::Tracer& tracer,
                                                          OutboundService& outbound,
                                                          telemetry::Registry& metrics);
  void start() { export_.start(); }
  /// Before outbound does: what is left is sent.
  void stop() noexcept { export_.stop(); }

 private:
  TraceExportService(const config::TraceExportSettings& settings, std::string path,
                     outbound::HttpTarget& target, const telemetry::Tracer& tracer,
                     telemetry::Registry& metrics);
  Result<CollectorAnswer> send(TraceExport::Attempt attempt);

  const std::string path_;
  outbound::HttpTarget& target_;
  TraceExport export_;  // last: it uses all of the above
};

}  // namespace trialwire
