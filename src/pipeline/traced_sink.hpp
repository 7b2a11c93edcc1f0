// SPDX-License-Identifier: Apache-2.0
// A sink whose deliveries are seen in the traces of the requests that brought their records: a
// span "sink NAME" for each record whose request was followed here, whatever its caller wanted,
// from the call to its success. Of one delivery at most `spans_of_a_delivery_max`; a record is one
// of many, a trace need not have all.
#pragma once
#include <memory>

#include "pipeline/sink.hpp"
#include "telemetry/trace/tracer.hpp"

namespace trialwire::pipeline {

inline constexpr std::size_t spans_of_a_delivery_max = 32;

/// The tracer outlives it.
std::unique_ptr<Sink> trace_sink(std::unique_ptr<Sink> sink, telemetry::Tracer& tracer);

}  // namespace trialwire::pipeline
