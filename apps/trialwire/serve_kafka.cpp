// SPDX-License-Identifier: Apache-2.0
#include "serve_kafka.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "epro/report_rows.hpp"
#include "journal/file_layer.hpp"
#include "qol/qol_rows.hpp"
#include "serve_options.hpp"
#include "storage/kafka/sink.hpp"
#include "trial/metric_rows.hpp"
#include "vitals/vital_rows.hpp"

namespace trialwire {
namespace {

namespace kafka = storage::kafka;

std::filesystem::path cursor_file(const std::filesystem::path& data_dir) {
  return data_dir / "cursors" / "kafka.0";
}

std::vector<kafka::KindTopic> topics(const config::KafkaSettings& settings) {
  using enum journal::RecordKind;
  const config::KafkaTopicSettings& own = settings.topics;
  std::vector<kafka::KindTopic> topics;
  for (const auto& [kind, name] :
       {std::pair(epro_report, &own.epro_report), std::pair(qol_answer, &own.qol_answer),
        std::pair(vital_sign, &own.vital_sign), std::pair(trial_metric, &own.trial_metric),
        std::pair(alert, &own.alert), std::pair(project_created, &own.project_created)}) {
    topics.push_back({kind, name->empty()
                                ? fmt::format("{}.{}", settings.topic_prefix, kafka::name_of(kind))
                                : *name});
  }
  return topics;
}

kafka::ClientOptions client_options(const config::KafkaSettings& settings) {
  const config::KafkaSecuritySettings& security = settings.security;
  return {.brokers = settings.brokers,
          .security = {.protocol = security.protocol,
                       .ca = security.ca,
                       .cert = security.cert,
                       .key = security.key,
                       .mechanism = security.mechanism,
                       .username = security.username,
                       .password_file = security.password_file}};
}

kafka::SinkOptions sink_options(const config::Settings& settings,
                                const std::filesystem::path& data_dir, journal::Journal& journal) {
  const config::KafkaSettings& from = settings.kafka;
  kafka::SinkOptions options;
  options.producer = {.client = client_options(from),
                      .compression = from.compression,
                      .linger = std::chrono::ceil<std::chrono::milliseconds>(from.linger),
                      .message_bytes_max = from.message_bytes,
                      .batch_bytes = from.request_bytes,
                      .queue_messages = from.queue_messages,
                      .queue_bytes = from.queue_bytes};
  options.value = from.value == config::KafkaValue::original ? kafka::ValueForm::original
                                                             : kafka::ValueForm::json;
  options.topics = topics(from);
  if (from.create_topics) {
    options.create_topics = {.partitions = static_cast<int>(from.partitions),
                             .replication = static_cast<int>(from.replication)};
  }
  options.cursor_file = cursor_file(data_dir);
  options.reached = [&journal](std::uint64_t next_sequence) { journal.replicated(next_sequence); };
  return options;
}

std::unique_ptr<pipeline::Sink> make_sink(const config::Settings& settings,
                                          const std::filesystem::path& data_dir,
                                          journal::Journal& journal, telemetry::Registry& metrics) {
  std::vector<std::unique_ptr<storage::EventMapper>> mappers;
  for (auto make_rows :
       {epro::make_report_rows, qol::make_rows, vitals::make_rows, trial::make_rows}) {
    mappers.push_back(std::make_unique<storage::EventMapper>(make_rows()));
  }
  return kafka::make_sink(sink_options(settings, data_dir, journal), std::move(mappers),
                          journal::posix_files(), metrics);
}

/// A failed attempt costs nothing, what it sent goes on being sent: it is repeated soon. Where
/// senders wait for Kafka, nothing waits for more to come, and the thread is not the last in line.
void adjust_lane(const config::Settings& settings, pipeline::LaneOptions& options) {
  constexpr std::chrono::milliseconds retry_max{1'000};
  options.backoff.cap = std::min(options.backoff.cap, retry_max);
  if (settings.journal.ack == config::JournalAck::kafka) {
    options.batch_delay = std::chrono::milliseconds(0);
    options.delivery_interval = std::chrono::milliseconds(0);
    for (pipeline::KindBatch& kind : options.kinds) kind.delay = std::chrono::milliseconds(0);
    options.background = false;
  }
}

}  // namespace

std::uint64_t kafka_consumed_below(const std::filesystem::path& data_dir, const Uuid& journal) {
  auto cursor = kafka::stored_cursor(cursor_file(data_dir), journal, journal::posix_files());
  return cursor ? cursor->next_sequence : 0;
}

void add_kafka_sink(const config::Settings& settings, const std::filesystem::path& data_dir,
                    journal::Journal& journal, SinkService& sinks, telemetry::Registry& metrics) {
  if (settings.kafka.brokers.empty()) return;
  auto& options = sinks.add("kafka", [&settings, data_dir, &journal, &metrics](unsigned) {
    return make_sink(settings, data_dir, journal, metrics);
  });
  adjust_lane(settings, options);
}

}  // namespace trialwire
