// SPDX-License-Identifier: Apache-2.0
// Topics on the brokers, by the admin interface: making those that are missing, asking what a topic
// takes. Each call waits for the brokers at most as long as it is told to.
#pragma once
#include <librdkafka/rdkafka.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace trialwire::storage::kafka {

struct TopicShape {
  int partitions = 0;   // 0: the brokers' default
  int replication = 0;  // 0: the brokers' default
};

/// Those that are there already stay as they are. Errors: the first topic's that could not be made,
/// which it names.
Result<void> create_topics(rd_kafka_t* handle, const std::vector<std::string>& names,
                           const TopicShape& shape, std::chrono::milliseconds wait);

/// max.message.bytes of the topic: the largest batch that its brokers take. None: they do not say.
std::optional<std::size_t> message_bytes_max(rd_kafka_t* handle, const std::string& topic,
                                             std::chrono::milliseconds wait);

}  // namespace trialwire::storage::kafka
