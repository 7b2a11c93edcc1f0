// SPDX-License-Identifier: Apache-2.0
// The order in which the parts of the process start, and the reverse, in which they stop. Owned and
// used by the main thread.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace trialwire::runtime {

struct Service {
  std::string name;
  std::function<Result<void>()> start;  // empty: nothing to do
  std::function<void()> stop;           // empty: nothing to do; called only if start succeeded
};

class ServiceGroup {
 public:
  ServiceGroup() = default;
  /// Stops what runs.
  ~ServiceGroup();
  ServiceGroup(const ServiceGroup&) = delete;
  ServiceGroup& operator=(const ServiceGroup&) = delete;

  /// Before `start`. What a service uses must have been added before it.
  void add(Service service);

  /// In the order of adding. The first error stops what was started, in reverse, and is returned.
  Result<void> start();

  /// In reverse order. Idempotent. An exception from one service is logged and does not keep the
  /// others from stopping.
  void stop() noexcept;

 private:
  std::vector<Service> services_;
  std::size_t running_ = 0;  // the first so many
};

}  // namespace trialwire::runtime
