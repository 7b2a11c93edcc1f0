// SPDX-License-Identifier: Apache-2.0
// A circuit breaker (resilience/breaker.hpp) before one dependency, shared by all that call it: its
// lock, its clock, its chance, and its metrics trialwire_breaker_*, labelled with the dependency's
// name. Any thread; a call of it takes well under a microsecond and never waits for the dependency.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "resilience/breaker.hpp"

namespace trialwire::telemetry {
class Registry;
}

namespace trialwire::runtime {

class Guard {
  struct State;

 public:
  /// `name` is the label of its metrics, one of a kind in `metrics`.
  Guard(std::string name, const resilience::BreakerOptions& options, telemetry::Registry& metrics);

  /// Leave to make one call. Says how it went once, or, destroyed before, that nothing is known.
  class [[nodiscard]] Call {
   public:
    Call(Call&& other) noexcept
        : state_(std::exchange(other.state_, nullptr)), call_(other.call_) {}
    Call& operator=(Call&&) = delete;
    ~Call() { withdraw(); }

    /// False: refused, the dependency is not to be asked.
    explicit operator bool() const noexcept { return state_ != nullptr; }
    void succeeded() noexcept;
    void failed() noexcept;
    void withdraw() noexcept;
    /// By `verdict_of`, below; null: no error.
    void judge(const Error* error) noexcept;

   private:
    friend class Guard;
    Call(std::shared_ptr<State> state, resilience::Breaker::Call call) noexcept
        : state_(std::move(state)), call_(call) {}
    std::shared_ptr<State> state_;  // a call may outlive the guard
    resilience::Breaker::Call call_;
  };
  Call begin() noexcept;
  /// Never refused: for one whose last call succeeded, and who makes one at a time.
  Call go_on() noexcept;

  resilience::BreakerState state() const noexcept;
  std::string_view name() const noexcept;

 private:
  std::shared_ptr<State> state_;  // shared with calls and with a scrape, which may outlive it
};

/// "closed", "half_open", "open".
std::string_view name_of(resilience::BreakerState state) noexcept;

enum class Verdict : std::uint8_t { succeeded, failed, unknown };
/// What an answer with this error says of who gave it. One that refuses what it was asked has
/// answered; what was cancelled, or never got there for want of room, says nothing.
Verdict verdict_of(ErrorCode code) noexcept;

}  // namespace trialwire::runtime
