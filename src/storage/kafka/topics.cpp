// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/topics.hpp"

#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>

#include <fmt/format.h>

#include "storage/kafka/errors.hpp"

namespace trialwire::storage::kafka {
namespace {

template <auto Destroy>
struct Call {
  template <typename T>
  void operator()(T* object) const noexcept {
    Destroy(object);
  }
};
using Queue = std::unique_ptr<rd_kafka_queue_t, Call<rd_kafka_queue_destroy>>;
using Event = std::unique_ptr<rd_kafka_event_t, Call<rd_kafka_event_destroy>>;
using AdminOptions = std::unique_ptr<rd_kafka_AdminOptions_t, Call<rd_kafka_AdminOptions_destroy>>;
using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, Call<rd_kafka_NewTopic_destroy>>;
using ConfigResource =
    std::unique_ptr<rd_kafka_ConfigResource_t, Call<rd_kafka_ConfigResource_destroy>>;

constexpr std::size_t error_text_bytes = 512;

AdminOptions options_for(rd_kafka_t* handle, rd_kafka_admin_op_t call,
                         std::chrono::milliseconds wait) {
  AdminOptions options(rd_kafka_AdminOptions_new(handle, call));
  std::array<char, error_text_bytes> text{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), static_cast<int>(wait.count()),
                                            text.data(), text.size());
  return options;
}

/// The answer, which comes after the call's own timeout at the latest.
Event answer(const Queue& queue, std::chrono::milliseconds wait) {
  return Event(rd_kafka_queue_poll(queue.get(), static_cast<int>(wait.count()) + 1'000));
}

}  // namespace

Result<void> create_topics(rd_kafka_t* handle, const std::vector<std::string>& names,
                           const TopicShape& shape, std::chrono::milliseconds wait) {
  std::vector<NewTopic> topics;
  std::vector<rd_kafka_NewTopic_t*> wanted;
  std::array<char, error_text_bytes> text{};
  for (const std::string& name : names) {
    topics.emplace_back(rd_kafka_NewTopic_new(
        name.c_str(), shape.partitions > 0 ? shape.partitions : -1,
        shape.replication > 0 ? shape.replication : -1, text.data(), text.size()));
    if (!topics.back()) {
      return fail(ErrorCode::internal, fmt::format("topic {}: {}", name, text.data()));
    }
    wanted.push_back(topics.back().get());
  }
  Queue queue(rd_kafka_queue_new(handle));
  AdminOptions options = options_for(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS, wait);
  rd_kafka_CreateTopics(handle, wanted.data(), wanted.size(), options.get(), queue.get());
  Event event = answer(queue, wait);
  if (!event) return fail(ErrorCode::deadline_exceeded, "making topics: no answer");
  if (auto error = rd_kafka_event_error(event.get()); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return std::unexpected(error_of(error, "making topics"));
  }
  std::size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    auto error = rd_kafka_topic_result_error(results[i]);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
      continue;
    }
    return std::unexpected(
        error_of(error, fmt::format("making topic {}", rd_kafka_topic_result_name(results[i]))));
  }
  return {};
}

std::optional<std::size_t> message_bytes_max(rd_kafka_t* handle, const std::string& topic,
                                             std::chrono::milliseconds wait) {
  ConfigResource resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  Queue queue(rd_kafka_queue_new(handle));
  AdminOptions options = options_for(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, wait);
  rd_kafka_ConfigResource_t* asked = resource.get();
  rd_kafka_DescribeConfigs(handle, &asked, 1, options.get(), queue.get());
  Event event = answer(queue, wait);
  const auto* result = event ? rd_kafka_event_DescribeConfigs_result(event.get()) : nullptr;
  if (result == nullptr) return std::nullopt;
  std::size_t resources = 0;
  const auto** described = rd_kafka_DescribeConfigs_result_resources(result, &resources);
  for (std::size_t i = 0; i < resources; ++i) {
    std::size_t count = 0;
    const auto** entries = rd_kafka_ConfigResource_configs(described[i], &count);
    for (std::size_t j = 0; j < count; ++j) {
      const char* name = rd_kafka_ConfigEntry_name(entries[j]);
      const char* value = rd_kafka_ConfigEntry_value(entries[j]);
      if (std::strcmp(name, "max.message.bytes") != 0 || value == nullptr) continue;
      const std::string_view digits = value;
      std::size_t bytes = 0;
      auto read = std::from_chars(digits.data(), digits.data() + digits.size(), bytes);
      if (read.ec == std::errc{}) return bytes;
    }
  }
  return std::nullopt;
}

}  // namespace trialwire::storage::kafka
