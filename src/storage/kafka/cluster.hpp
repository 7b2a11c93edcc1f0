// SPDX-License-Identifier: Apache-2.0
// Whether the brokers would take this program in, and which topics they lack. Changes nothing
// there.
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
  std::vector<std::string> missing;  // of the topics asked for, in their order
};

/// Waits at most so long. Errors: what keeps the brokers away (unauthenticated, unavailable, …);
/// the text names the broker and the reason, never a password.
Result<ClusterState> ask_cluster(const ClientOptions& options,
                                 const std::vector<std::string>& topics,
                                 std::chrono::milliseconds wait);

}  // namespace trialwire::storage::kafka
