// SPDX-License-Identifier: Apache-2.0
// Would the cluster take this program in? For `config check --connect`: asks, changes nothing.
#pragma once
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "storage/kafka/client.hpp"

namespace trialwire::storage::kafka {

struct ClusterState {
  std::size_t brokers = 0;
  std::vector<std::string> missing;  // of the topics that were asked for
};

/// Errors: what the brokers, or the way to them, last said: unauthenticated, unavailable.
Result<ClusterState> ask_cluster(const ClientOptions& options,
                                 const std::vector<std::string>& topics,
                                 std::chrono::milliseconds wait);

}  // namespace trialwire::storage::kafka
