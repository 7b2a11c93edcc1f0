// SPDX-License-Identifier: Apache-2.0
// When a commit starts. Plain arithmetic on times that are passed in.
//
//   waiting bytes                        → what to do
//   at least `bytes`                       commit
//   one request's                          commit: to wait would only help if others came
//   some, `interval` after the last start  commit
//   some, earlier than that                wait until then, or until `bytes` wait
//   none, `silence` after the last batch   seal, once
//   none, a seal due later                 wait until then, or until anything waits
//   none                                   wait until anything waits
#pragma once
#include <chrono>
#include <cstddef>

namespace trialwire::journal {

class CommitRule {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;
  struct Limits {
    std::size_t bytes = 64 << 10;
    std::chrono::nanoseconds interval = std::chrono::microseconds(500);
    std::chrono::nanoseconds silence = std::chrono::milliseconds(50);
  };
  enum class Step : unsigned char { commit, seal, wait_for_bytes, wait_for_any };
  struct Decision {
    Step step = Step::wait_for_any;
    Time until = Time::max();
  };

  explicit CommitRule(Limits limits) : limits_(limits) {}

  struct Waiting {
    std::size_t requests = 0;
    std::size_t bytes = 0;
  };
  Decision decide(Time now, Waiting waiting) const noexcept {
    if (waiting.requests > 0) {
      if (waiting.requests == 1 || waiting.bytes >= limits_.bytes || !started_) {
        return {Step::commit};
      }
      const Time due = last_start_ + limits_.interval;
      return now >= due ? Decision{Step::commit} : Decision{Step::wait_for_bytes, due};
    }
    if (!seal_due_) return {Step::wait_for_any};
    const Time due = last_batch_ + limits_.silence;
    return now >= due ? Decision{Step::seal} : Decision{Step::wait_for_any, due};
  }

  std::size_t bytes() const noexcept { return limits_.bytes; }
  bool seal_due() const noexcept { return seal_due_; }

  void started(Time now) noexcept {
    last_start_ = now;
    started_ = true;
  }
  /// A batch with records is durable.
  void appended(Time now) noexcept {
    last_batch_ = now;
    seal_due_ = true;
  }
  void sealed() noexcept { seal_due_ = false; }
  /// There was no room for the seal: once more after another silence.
  void seal_refused(Time now) noexcept { last_batch_ = now; }

 private:
  Limits limits_;
  Time last_start_{};
  Time last_batch_{};
  bool started_ = false;
  bool seal_due_ = false;
};

}  // namespace trialwire::journal
