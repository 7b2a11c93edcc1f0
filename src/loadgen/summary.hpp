// SPDX-License-Identifier: Apache-2.0
// What a run says at its end: for people, and as JSON for scripts. Pure.
#pragma once
#include <string>

#include "loadgen/load_run.hpp"

namespace trialwire::loadgen {

std::string summary_text(const LoadResult& result);
/// One object on one line; latencies in microseconds, times of the window on CLOCK_MONOTONIC.
std::string summary_json(const LoadResult& result);
/// One line, at most 79 columns.
std::string progress_line(const ProgressView& now, const ProgressView& before);

/// Every request was sent and answered with 2xx, and no connection failed.
bool flawless(const LoadResult& result) noexcept;

}  // namespace trialwire::loadgen
