// SPDX-License-Identifier: Apache-2.0
// GET /debug/traces?limit=N on the admin port: the last spans, 200 without N, as the JSON of
// OTLP/HTTP, which a collector takes as it is. Who looked is in the audit trail before they see it.
#pragma once
#include "base/error.hpp"
#include "net/router.hpp"
#include "operator_log.hpp"
#include "telemetry/metrics.hpp"
#include "telemetry/trace/tracer.hpp"

namespace trialwire {

/// Who the spans are from: this program and process.
telemetry::TraceResource trace_resource();

void observe_tracer(const telemetry::Tracer& tracer, telemetry::Registry& metrics);

/// Both must outlive the router's use. Tracer null: 404; log null: nothing is written down.
Result<void> add_trace_route(net::Router& router, const telemetry::Tracer* tracer,
                             OperatorLog* log);

}  // namespace trialwire
