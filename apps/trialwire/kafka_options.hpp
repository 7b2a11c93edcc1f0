// SPDX-License-Identifier: Apache-2.0
// What the settings say of Kafka, as its parts want it.
#pragma once
#include <vector>

#include "config/settings.hpp"
#include "storage/kafka/client.hpp"
#include "storage/kafka/message.hpp"

namespace trialwire {

storage::kafka::ClientOptions kafka_client_options(const config::KafkaSettings& settings);

/// Of every kind that is sent.
std::vector<storage::kafka::KindTopic> kafka_topics(const config::KafkaSettings& settings);

}  // namespace trialwire
