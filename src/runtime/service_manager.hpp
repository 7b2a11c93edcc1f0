// SPDX-License-Identifier: Apache-2.0
// What the process tells the service manager that started it (systemd's notification protocol,
// sd_notify(3)): ready, stopping, alive. Without one nothing is told.
#pragma once
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "runtime/shard.hpp"

namespace trialwire::runtime {

/// Clients are served from here on. `status` is shown by `systemctl status`.
void notify_ready(std::string_view status);
void notify_stopping();

/// Within which a sign of life is wanted (WatchdogSec=); 0: none is.
std::chrono::microseconds watchdog_interval();

/// Gives the sign of life three times in each interval, as long as every shard answers: one that is
/// stuck for the whole interval lets the service manager start the process again. Shards outlive
/// it. The interval 0 does nothing.
class Watchdog {
 public:
  Watchdog(std::vector<Shard*> shards, std::chrono::microseconds interval);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  struct Answers;
  void run(const std::stop_token& stop);
  void ask();

  std::vector<Shard*> shards_;
  std::chrono::microseconds pause_;
  std::shared_ptr<Answers> answers_;  // shared with questions that a stuck shard still has
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace trialwire::runtime
