// SPDX-License-Identifier: Apache-2.0
// The Request-Timeout header: how long the client waits for its answer.
#pragma once
#include <cstdint>
#include <string_view>

namespace trialwire::net {

constexpr std::string_view request_timeout_header = "request-timeout";

/// Seconds, with up to three digits behind a point, over 0; in milliseconds. 0: it is none of that.
/// More than a day is a day.
std::uint32_t request_timeout_ms(std::string_view value) noexcept;

}  // namespace trialwire::net
