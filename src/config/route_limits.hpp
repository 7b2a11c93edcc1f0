// SPDX-License-Identifier: Apache-2.0
// Limits by prefix of the path, as text: a YAML map whose keys are prefixes.
//
//   {/: {deadline: 5s}, /v1/imaging: {per_second: 2, burst: 4, concurrent: 20, body: 64MiB}}
#pragma once
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"

namespace trialwire::config {

/// In the order of the text. Errors: what is wrong of which prefix, in one line, such as
/// "/v1/imaging: deadline: must be a duration such as …"; what is no prefix is not repeated.
std::expected<std::vector<RouteLimitSettings>, std::string> parse_route_limits(
    std::string_view yaml);

/// As `parse_route_limits` reads it, on one line; "{}" for none.
std::string format_route_limits(std::span<const RouteLimitSettings> limits);

}  // namespace trialwire::config
