// SPDX-License-Identifier: Apache-2.0
#include "serve_processor.hpp"

#include <chrono>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "kafka_options.hpp"

namespace trialwire {
namespace {

/// Of the kinds that have tables.
std::vector<storage::kafka::KindTopic> stored_topics(const config::KafkaSettings& settings) {
  using enum journal::RecordKind;
  auto topics = kafka_topics(settings);
  std::erase_if(topics, [](const storage::kafka::KindTopic& topic) {
    return topic.kind == alert || topic.kind == project_created;
  });
  return topics;
}

storage::kafka::GroupOptions group_options(const config::Settings& settings,
                                           pipeline::LaneOptions lane) {
  auto in_ms = [](config::Duration time) {
    return std::chrono::ceil<std::chrono::milliseconds>(time);
  };
  return {.client = kafka_client_options(settings.kafka),
          .group = settings.kafka.group,
          .topics = stored_topics(settings.kafka),
          .session_timeout = in_ms(settings.kafka.session_timeout),
          .partition_bytes = settings.kafka.partition_bytes,
          .lane = std::move(lane)};
}

}  // namespace

ProcessorService::ProcessorService(const config::Settings& settings, pipeline::LaneOptions lane,
                                   storage::kafka::GroupMember::MakeSink make_sink,
                                   telemetry::Registry& metrics)
    : member_(group_options(settings, std::move(lane)), std::move(make_sink), metrics),
      progress_(std::chrono::steady_clock::now()) {}

ReadinessCheck ProcessorService::readiness() {
  const auto standing = member_.standing();
  const bool all_at_work = standing.joined && standing.lanes == standing.partitions;
  const std::uint64_t at = standing.stored + 1;
  ReadinessCheck check = progress_.check(all_at_work ? at : 0, at + standing.lag,
                                         std::chrono::steady_clock::now(), standing.lane_trouble);
  check.name = "processor";
  check.detail = standing.joined ? fmt::format("{} partitions, {} of them at work, lag {}",
                                               standing.partitions, standing.lanes, standing.lag)
                                 : "the group has not taken it in yet";
  if (!standing.lane_trouble.empty()) check.detail += ": " + standing.lane_trouble;
  if (!check.ok && !standing.trouble.empty()) check.detail += ": " + standing.trouble;
  return check;
}

}  // namespace trialwire
