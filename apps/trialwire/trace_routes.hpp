// SPDX-License-Identifier: Apache-2.0
// GET /debug/traces?limit=N on the admin port: the last spans, 200 without N, as the JSON of
// OTLP/HTTP, which a collector takes as it is.
#pragma once
#include "base/error.hpp"
#include "net/router.hpp"
#include "telemetry/metrics.hpp"
#include "telemetry/trace/tracer.hpp"

namespace trialwire {

/// Who the spans are from: this program and process.
telemetry::TraceResource trace_resource();

void observe_tracer(const telemetry::Tracer& tracer, telemetry::Registry& metrics);

/// The tracer must outlive the router's use; null: 404.
Result<void> add_trace_route(net::Router& router, const telemetry::Tracer* tracer);

}  // namespace trialwire
