// SPDX-License-Identifier: Apache-2.0
#include "instrument_route.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "net/exchange.hpp"

namespace trialwire::extending {
namespace {

constexpr std::array<Instrument, 2> instruments{{
    {"eq-5d-5l", "EQ-5D-5L", 5},
    {"qlq-c30", "EORTC QLQ-C30", 30},
}};

void answer(net::Exchange& exchange) {
  const auto found = instrument(exchange.request().param("id").value_or(""));
  if (!found) return exchange.fail({ErrorCode::not_found, "there is no such instrument"});
  exchange.respond(
      200, "application/json",
      fmt::format(R"({{"id":"{}","name":"{}","items":{}}})", found->id, found->name, found->items));
}

}  // namespace

std::optional<Instrument> instrument(std::string_view id) noexcept {
  const auto* found = std::ranges::find(instruments, id, &Instrument::id);
  if (found == instruments.end()) return std::nullopt;
  return *found;
}

Result<void> add_instrument_route(net::Router& router) {
  return router.add(net::Method::get, "/v1/instruments/:id", answer,
                    {.scope = auth::Scope::records_read});
}

}  // namespace trialwire::extending
