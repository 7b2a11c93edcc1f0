// SPDX-License-Identifier: Apache-2.0
#include "net/route_breakers.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <random>
#include <utility>

#include "runtime/guard.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::net {

using resilience::Breaker;
using resilience::BreakerState;
using runtime::Verdict;

/// Of one route, over all shards.
class RouteBreaker {
 public:
  RouteBreaker(const Route& route, const std::string& server,
               const resilience::BreakerOptions& options)
      : kind_(route.options.kind),
        method_(name_of(route.method)),
        route_(route.pattern),
        server_(server),
        breaker_(options),
        random_(std::random_device{}()) {}

  /// It has failed of late: requests are counted one by one.
  bool watched() const noexcept { return watched_.load(std::memory_order_relaxed); }
  RouteKind kind() const noexcept { return kind_; }
  std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }
  const std::string& method() const noexcept { return method_; }
  const std::string& route() const noexcept { return route_; }

  BreakerState state() noexcept {
    const std::chrono::nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
    std::lock_guard lock(mutex_);
    return breaker_.state(now.count());
  }

  Breaker::Call admit(std::int64_t now_ns) noexcept {
    std::lock_guard lock(mutex_);
    const double chance = std::uniform_real_distribution<double>(0.0, 1.0)(random_);
    const Breaker::Call call = breaker_.admit(now_ns, chance);
    if (call == Breaker::Call::refused) refused_.fetch_add(1, std::memory_order_relaxed);
    return call;
  }

  /// `passed`: successes that were not told before.
  void ended(Breaker::Call call, Verdict verdict, std::uint32_t passed,
             std::int64_t now_ns) noexcept {
    change([&] {
      pass(passed, now_ns);
      if (verdict == Verdict::succeeded) {
        answered_ns_ = now_ns;
        breaker_.succeeded(call, now_ns);
      } else if (verdict == Verdict::failed) {
        breaker_.failed(call, now_ns);
        watched_.store(true, std::memory_order_relaxed);
      } else {
        breaker_.withdrawn(call);
      }
      return breaker_.state(now_ns) == BreakerState::closed;
    });
  }

  /// Of a shard that ticks; a route that has been well for a window is watched no longer.
  void rest(std::uint32_t passed, std::int64_t now_ns) noexcept {
    change([&] {
      pass(passed, now_ns);
      if (watched() && breaker_.calm(now_ns)) watched_.store(false, std::memory_order_relaxed);
      return breaker_.state(now_ns) == BreakerState::closed;
    });
  }

  bool answered_since(std::int64_t started_ns) noexcept {
    std::lock_guard lock(mutex_);
    return answered_ns_ > started_ns;
  }

 private:
  void pass(std::uint32_t passed, std::int64_t now_ns) noexcept {
    if (passed == 0) return;
    answered_ns_ = now_ns;
    breaker_.succeeded_calmly(passed, now_ns);
  }

  template <typename Change>
  void change(Change apply) noexcept {
    bool closed = false;
    bool turned = false;
    {
      std::lock_guard lock(mutex_);
      closed = apply();
      turned = std::exchange(was_closed_, closed) != closed;
    }
    if (!turned) return;
    // Without the lock: a log that blocks must not hold up who calls.
    telemetry::log(
        closed ? telemetry::LogLevel::info : telemetry::LogLevel::warn, "breaker",
        closed ? "a route is served again" : "a route fails and is served only now and then",
        {{"server", std::string_view(server_)},
         {"method", std::string_view(method_)},
         {"route", std::string_view(route_)}});
  }

  const RouteKind kind_;
  const std::string method_;
  const std::string route_;
  const std::string server_;
  std::atomic<bool> watched_{false};
  std::atomic<std::uint64_t> refused_{0};
  std::mutex mutex_;
  Breaker breaker_;  // this and what follows under the mutex
  std::minstd_rand random_;
  std::int64_t answered_ns_ = INT64_MIN;
  bool was_closed_ = true;
};

namespace {

Verdict verdict_of(RouteBreaker& breaker, const RouteOutcome& outcome,
                   std::uint32_t passed) noexcept {
  if (outcome.status == 499 || outcome.status == 503) return Verdict::unknown;
  if (outcome.status < 500) return Verdict::succeeded;
  if (outcome.status != 504) return Verdict::failed;
  const bool says_nothing = outcome.hurried || breaker.kind() == RouteKind::intake || passed > 0 ||
                            breaker.answered_since(outcome.started_ns);
  return says_nothing ? Verdict::unknown : Verdict::failed;
}

}  // namespace

RouteBreakers::RouteBreakers(const Router& router, const resilience::BreakerOptions& options,
                             const std::string& server, telemetry::Registry& metrics) {
  for (const auto& route : router.routes()) {
    auto& breaker = breakers_.emplace_back();
    if (route->options.kind == RouteKind::exempt) continue;
    breaker = std::make_shared<RouteBreaker>(*route, server, options);
    const telemetry::Labels labels{
        {"server", server}, {"method", breaker->method()}, {"route", breaker->route()}};
    for (std::size_t i = 0; i < static_cast<std::size_t>(BreakerState::count_); ++i) {
      const auto state = static_cast<BreakerState>(i);
      telemetry::Labels of_state = labels;
      of_state.emplace_back("state", std::string(runtime::name_of(state)));
      metrics.observe("trialwire_route_breaker_state",
                      "1 for the state that the breaker of a route is in.", of_state,
                      [breaker, state] { return breaker->state() == state ? 1.0 : 0.0; });
    }
    metrics.observe_total("trialwire_route_breaker_refused_total",
                          "Requests answered 503 because their route fails.", labels,
                          [breaker] { return static_cast<double>(breaker->refused()); });
  }
}

RouteBreakers::~RouteBreakers() = default;

std::vector<RouteBreakerLook> RouteBreakers::look() const {
  std::vector<RouteBreakerLook> looks;
  for (const auto& breaker : breakers_) {
    if (breaker == nullptr) continue;
    looks.push_back({breaker->method(), breaker->route(), breaker->state()});
  }
  return looks;
}

ShardBreakers::ShardBreakers(std::shared_ptr<RouteBreakers> shared, std::size_t routes)
    : shared_(std::move(shared)) {
  if (shared_ == nullptr) return;
  cells_.resize(std::min(routes, shared_->breakers_.size()));
  for (std::size_t i = 0; i < cells_.size(); ++i) cells_[i].breaker = shared_->breakers_[i].get();
}

ShardBreakers::Call ShardBreakers::admit(RouteBreaker& breaker, std::int64_t now_ns) noexcept {
  if (!breaker.watched()) [[likely]]
    return Call::made;
  return breaker.admit(now_ns);
}

void ShardBreakers::ended(const Route& route, Call call, const RouteOutcome& outcome,
                          std::int64_t now_ns) noexcept {
  if (route.index >= cells_.size()) return;
  Cell& cell = cells_[route.index];
  if (cell.breaker == nullptr) return;
  if (outcome.status < 499 && call != Call::probe && !cell.breaker->watched()) [[likely]] {
    ++cell.passed;
    return;
  }
  const Verdict verdict = verdict_of(*cell.breaker, outcome, cell.passed);
  // Refusals and clients that have gone say nothing: under load there are many of them.
  if (verdict == Verdict::unknown && call != Call::probe) return;
  cell.breaker->ended(call, verdict, std::exchange(cell.passed, 0), now_ns);
}

void ShardBreakers::tick(std::int64_t now_ns) noexcept {
  for (Cell& cell : cells_) {
    if (cell.breaker == nullptr || (cell.passed == 0 && !cell.breaker->watched())) continue;
    cell.breaker->rest(std::exchange(cell.passed, 0), now_ns);
  }
}

}  // namespace trialwire::net
