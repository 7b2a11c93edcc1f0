// SPDX-License-Identifier: Apache-2.0
#include "runtime/service_group.hpp"

#include <chrono>
#include <exception>

#include "base/check.hpp"
#include "telemetry/log.hpp"

namespace trialwire::runtime {
namespace {

Result<void> start_one(const Service& service) {
  if (!service.start) return {};
  try {
    return service.start();
  } catch (const std::exception& exception) {
    return fail(ErrorCode::internal, service.name + ": " + exception.what());
  }
}

void stop_one(const Service& service) noexcept {
  using Clock = std::chrono::steady_clock;
  auto begun = Clock::now();
  if (service.stop) {
    try {
      service.stop();
    } catch (const std::exception& exception) {
      telemetry::log(telemetry::LogLevel::error, "runtime", "stopping failed",
                     {{"service", service.name}, {"reason", exception.what()}});
    }
  }
  auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
  telemetry::log(telemetry::LogLevel::debug, "runtime", "stopped",
                 {{"service", service.name}, {"ms", took.count()}});
}

}  // namespace

ServiceGroup::~ServiceGroup() {
  stop();
}

void ServiceGroup::add(Service service) {
  TW_CHECK(running_ == 0);
  services_.push_back(std::move(service));
}

Result<void> ServiceGroup::start() {
  TW_CHECK(running_ == 0);
  for (const Service& service : services_) {
    auto started = start_one(service);
    if (!started) {
      stop();
      return started;
    }
    ++running_;
  }
  return {};
}

void ServiceGroup::stop() noexcept {
  while (running_ > 0) stop_one(services_[--running_]);
}

}  // namespace trialwire::runtime
