// SPDX-License-Identifier: Apache-2.0
// A circuit breaker (resilience/breaker.hpp) before each route of a server: where a handler fails,
// most requests are answered 503 at once, with Retry-After, and what still comes through finds out
// when it is well again. It stands behind the token, so that a stranger decides nothing.
//
//   answer                              of a route that waits        of intake
//   under 500                           success                      success
//   503: refused before it was done,    nothing                      nothing
//     by a limit, the journal or what
//     guards a database
//   504                                 failure, if the route has    nothing: what the journal
//                                       answered nobody meanwhile    does not take in time is for
//     of a client that waits less       nothing                      admission.hpp to refuse
//     than the server would
//   499                                 nothing                      nothing
//   500 and the rest                    failure                      failure
//
// A route that is exempt (health checks, streams) has none. Metrics: trialwire_route_breaker_*.
//
// Threads: RouteBreakers is shared, a breaker of it is behind its own lock; ShardBreakers is one
// shard's. While a route has not failed within the window nobody takes that lock: a request costs
// one load and one increment, and each shard hands its successes over with its tick. Nothing
// allocates per request.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/router.hpp"
#include "resilience/breaker.hpp"

namespace trialwire::telemetry {
class Registry;
}

namespace trialwire::net {

/// Where a route's breaker is, for who looks at the server.
struct RouteBreakerLook {
  std::string method;
  std::string route;
  resilience::BreakerState state = resilience::BreakerState::closed;
};

/// How a request went.
struct RouteOutcome {
  Status status = 0;
  bool hurried = false;         // its client waited less than the server would
  std::int64_t started_ns = 0;  // of the shard's clock
};

class RouteBreaker;

/// Those of one server, by Route::index.
class RouteBreakers {
 public:
  RouteBreakers(const Router& router, const resilience::BreakerOptions& options,
                const std::string& server, telemetry::Registry& metrics);
  ~RouteBreakers();
  RouteBreakers(const RouteBreakers&) = delete;
  RouteBreakers& operator=(const RouteBreakers&) = delete;

  std::vector<RouteBreakerLook> look() const;

 private:
  friend class ShardBreakers;
  std::vector<std::shared_ptr<RouteBreaker>> breakers_;  // with scrapes; null: the route has none
};

class ShardBreakers {
 public:
  using Call = resilience::Breaker::Call;

  /// `shared` null: no route has one; nor has one that is added when the server is there.
  ShardBreakers(std::shared_ptr<RouteBreakers> shared, std::size_t routes);

  /// What is not refused is followed by `ended`, once; by 499 where nobody waits any longer.
  Call admit(const Route& route, std::int64_t now_ns) noexcept {
    if (route.index >= cells_.size()) return Call::made;
    const Cell& cell = cells_[route.index];
    if (cell.breaker == nullptr) return Call::made;
    return admit(*cell.breaker, now_ns);
  }
  void ended(const Route& route, Call call, const RouteOutcome& outcome,
             std::int64_t now_ns) noexcept;
  /// Hands over what has succeeded. Ten times a second.
  void tick(std::int64_t now_ns) noexcept;

 private:
  struct Cell {
    RouteBreaker* breaker = nullptr;
    std::uint32_t passed = 0;  // succeeded, not yet handed over
  };
  static Call admit(RouteBreaker& breaker, std::int64_t now_ns) noexcept;

  std::shared_ptr<RouteBreakers> shared_;
  std::vector<Cell> cells_;
};

}  // namespace trialwire::net
