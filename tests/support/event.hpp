// SPDX-License-Identifier: Apache-2.0
// Something that happens once on another thread and that a test waits for. The state outlives both:
// a std::promise on the test's stack may be gone while `set_value` still runs.
#pragma once
#include <functional>
#include <future>
#include <memory>

#include "runtime/shard.hpp"

namespace trialwire::support {

class Event {
 public:
  void set() {
    auto keep = promise_;
    keep->set_value();
  }
  void wait() { promise_->get_future().wait(); }

 private:
  std::shared_ptr<std::promise<void>> promise_ = std::make_shared<std::promise<void>>();
};

/// Runs `work` on the shard and waits for it.
inline void on(runtime::Shard& shard, const std::function<void()>& work) {
  Event done;
  shard.post([&work, done]() mutable {
    work();
    done.set();
  });
  done.wait();
}

}  // namespace trialwire::support
