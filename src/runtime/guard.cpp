// SPDX-License-Identifier: Apache-2.0
#include "runtime/guard.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <random>

#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::runtime {
namespace {

using resilience::Breaker;
using resilience::BreakerState;

constexpr std::array<std::string_view, static_cast<std::size_t>(BreakerState::count_)> names{
    "closed", "half_open", "open"};

std::int64_t now_ns() noexcept {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string_view name_of(BreakerState state) noexcept {
  return names[static_cast<std::size_t>(state)];
}

Verdict verdict_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::payload_too_large:
    case ErrorCode::conflict:
    case ErrorCode::not_found:
      return Verdict::succeeded;
    case ErrorCode::cancelled:
    case ErrorCode::overloaded:
      return Verdict::unknown;
    default:
      return Verdict::failed;
  }
}

struct Guard::State {
  State(std::string dependency, const resilience::BreakerOptions& options)
      : name(std::move(dependency)), breaker(options), random(std::random_device{}()) {}

  /// Has it opened or closed? Under the lock, after whatever may have changed it.
  bool turned(std::int64_t now) noexcept {
    const bool closed = breaker.state(now) == BreakerState::closed;
    return std::exchange(was_closed, closed) != closed;
  }
  /// Without the lock: a log that blocks must not hold up who calls.
  void log_turn(bool closed) const {
    telemetry::log(closed ? telemetry::LogLevel::info : telemetry::LogLevel::warn, "breaker",
                   closed ? "a dependency is called again"
                          : "a dependency fails and is called only now and then",
                   {{"dependency", std::string_view(name)}});
  }

  template <typename Tell>
  void ended(Tell tell) {
    bool turned_now = false;
    bool closed = false;
    {
      std::lock_guard lock(mutex);
      const std::int64_t now = now_ns();
      tell(breaker, now);
      turned_now = turned(now);
      closed = was_closed;
    }
    if (turned_now) log_turn(closed);
  }

  const std::string name;
  std::mutex mutex;
  Breaker breaker;  // this and the next two under the mutex
  std::minstd_rand random;
  bool was_closed = true;
  std::atomic<std::uint64_t> succeeded{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> refused{0};
};

Guard::Guard(std::string name, const resilience::BreakerOptions& options,
             telemetry::Registry& metrics)
    : state_(std::make_shared<State>(std::move(name), options)) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    metrics.observe(
        "trialwire_breaker_state", "1 for the state that the breaker is in.",
        {{"dependency", state_->name}, {"state", std::string(names[i])}}, [state = state_, i] {
          std::lock_guard lock(state->mutex);
          return static_cast<std::size_t>(state->breaker.state(now_ns())) == i ? 1.0 : 0.0;
        });
  }
  auto count = [&](const char* outcome, std::atomic<std::uint64_t> State::* counter) {
    metrics.observe_total(
        "trialwire_breaker_calls_total",
        "Calls of a dependency, by how they went; refused: not made.",
        {{"dependency", state_->name}, {"outcome", outcome}},
        [state = state_, counter] { return static_cast<double>(((*state).*counter).load()); });
  };
  count("succeeded", &State::succeeded);
  count("failed", &State::failed);
  count("refused", &State::refused);
}

Guard::Call Guard::begin() noexcept {
  Breaker::Call call{};
  {
    std::lock_guard lock(state_->mutex);
    const double chance = std::uniform_real_distribution<double>(0.0, 1.0)(state_->random);
    call = state_->breaker.admit(now_ns(), chance);
  }
  if (call == Breaker::Call::refused) {
    state_->refused.fetch_add(1, std::memory_order_relaxed);
    return {nullptr, call};
  }
  return {state_, call};
}

Guard::Call Guard::go_on() noexcept {
  std::lock_guard lock(state_->mutex);
  return {state_, state_->breaker.make(now_ns())};
}

BreakerState Guard::state() const noexcept {
  std::lock_guard lock(state_->mutex);
  return state_->breaker.state(now_ns());
}

std::string_view Guard::name() const noexcept {
  return state_->name;
}

void Guard::Call::succeeded() noexcept {
  if (!state_) return;
  auto state = std::exchange(state_, nullptr);
  state->succeeded.fetch_add(1, std::memory_order_relaxed);
  state->ended(
      [call = call_](Breaker& breaker, std::int64_t now) { breaker.succeeded(call, now); });
}

void Guard::Call::failed() noexcept {
  if (!state_) return;
  auto state = std::exchange(state_, nullptr);
  state->failed.fetch_add(1, std::memory_order_relaxed);
  state->ended([call = call_](Breaker& breaker, std::int64_t now) { breaker.failed(call, now); });
}

void Guard::Call::withdraw() noexcept {
  if (!state_) return;
  auto state = std::exchange(state_, nullptr);
  std::lock_guard lock(state->mutex);
  state->breaker.withdrawn(call_);
}

void Guard::Call::judge(const Error* error) noexcept {
  switch (error == nullptr ? Verdict::succeeded : verdict_of(error->code)) {
    case Verdict::succeeded:
      return succeeded();
    case Verdict::failed:
      return failed();
    case Verdict::unknown:
      return withdraw();
  }
}

}  // namespace trialwire::runtime
