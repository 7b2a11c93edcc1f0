// SPDX-License-Identifier: Apache-2.0
// GET /v1/instruments/{id}: name and range of a questionnaire. Answered on the shard, from a table
// that never changes: nothing is waited for.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.hpp"
#include "net/router.hpp"

namespace trialwire::extending {

struct Instrument {
  std::string_view id;
  std::string_view name;
  std::uint32_t items = 0;
};

/// Nothing: it is not known.
std::optional<Instrument> instrument(std::string_view id) noexcept;

/// Errors: those of Router::add.
Result<void> add_instrument_route(net::Router& router);

}  // namespace trialwire::extending
