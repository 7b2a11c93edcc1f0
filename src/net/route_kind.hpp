// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

namespace trialwire::net {

/// What a route's requests do to the server: which limits concern them (admission.hpp).
enum class RouteKind : std::uint8_t {
  waiting,  // they wait for something behind it: a database, a worker
  intake,   // they go to the journal
  exempt,   // they must be answered whatever happens, or last as long as the client wants
};

}  // namespace trialwire::net
