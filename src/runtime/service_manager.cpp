// SPDX-License-Identifier: Apache-2.0
#include "runtime/service_manager.hpp"

#include <pthread.h>
#include <systemd/sd-daemon.h>

#include <atomic>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "telemetry/log.hpp"

namespace trialwire::runtime {
namespace {

void tell(const char* state) {
  const int told = ::sd_notify(0, state);
  if (told >= 0) return;
  telemetry::log(telemetry::LogLevel::warn, "runtime", "the service manager cannot be told",
                 {{"errno", std::uint64_t{static_cast<unsigned>(-told)}}});
}

}  // namespace

void notify_ready(std::string_view status) {
  tell(fmt::format("READY=1\nSTATUS={}", status).c_str());
}

void notify_stopping() {
  tell("STOPPING=1\nSTATUS=finishing what was accepted");
}

std::chrono::microseconds watchdog_interval() {
  std::uint64_t us = 0;
  return std::chrono::microseconds(::sd_watchdog_enabled(0, &us) > 0 ? us : 0);
}

struct Watchdog::Answers {
  std::atomic<std::size_t> missing{0};
};

Watchdog::Watchdog(std::vector<Shard*> shards, std::chrono::microseconds interval)
    : shards_(std::move(shards)), pause_(interval / 3), answers_(std::make_shared<Answers>()) {
  if (interval.count() == 0) return;
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

Watchdog::~Watchdog() = default;

void Watchdog::ask() {
  answers_->missing.store(shards_.size());
  for (Shard* shard : shards_) {
    shard->post([answers = answers_] { --answers->missing; });
  }
}

void Watchdog::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "watchdog");
  ask();
  while (!stop.stop_requested()) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, pause_, [] { return false; });
    lock.unlock();
    if (answers_->missing.load() > 0) continue;  // asked once: posts must not pile up
    tell("WATCHDOG=1");
    ask();
  }
}

}  // namespace trialwire::runtime
