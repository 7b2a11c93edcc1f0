// SPDX-License-Identifier: Apache-2.0
// What /readyz says of the breakers of clients' routes.
#pragma once
#include <span>

#include "admin.hpp"
#include "net/route_breakers.hpp"

namespace trialwire {

/// One line for all: how many there are, or which are not closed. Not required: what the other
/// routes take in, they take in.
ReadinessCheck route_readiness(std::span<const net::RouteBreakerLook> breakers);

}  // namespace trialwire
