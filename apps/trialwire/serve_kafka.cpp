// SPDX-License-Identifier: Apache-2.0
#include "serve_kafka.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "audit/audit_rows.hpp"
#include "epro/report_rows.hpp"
#include "journal/file_layer.hpp"
#include "kafka_options.hpp"
#include "pipeline/guarded_sink.hpp"
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

kafka::SinkOptions sink_options(const config::Settings& settings,
                                const std::filesystem::path& cursor) {
  const config::KafkaSettings& from = settings.kafka;
  kafka::SinkOptions options;
  options.producer = {.client = kafka_client_options(from),
                      .compression = from.compression,
                      .linger = std::chrono::ceil<std::chrono::milliseconds>(from.linger),
                      .message_bytes_max = from.message_bytes,
                      .batch_bytes = from.request_bytes,
                      .queue_messages = from.queue_messages,
                      .queue_bytes = from.queue_bytes};
  options.value = from.value == config::KafkaValue::original ? kafka::ValueForm::original
                                                             : kafka::ValueForm::json;
  options.topics = kafka_topics(from);
  options.patience = std::chrono::ceil<std::chrono::milliseconds>(from.confirm_timeout);
  if (from.create_topics) {
    options.create_topics = {.partitions = static_cast<int>(from.partitions),
                             .replication = static_cast<int>(from.replication)};
  }
  options.cursor_file = cursor;
  return options;
}

std::unique_ptr<pipeline::Sink> make_sink(kafka::SinkOptions options,
                                          telemetry::Registry& metrics) {
  std::vector<std::unique_ptr<storage::EventMapper>> mappers;
  for (auto make_rows : {epro::make_report_rows, qol::make_rows, vitals::make_rows,
                         trial::make_rows, audit::make_rows}) {
    mappers.push_back(std::make_unique<storage::EventMapper>(make_rows()));
  }
  return kafka::make_sink(std::move(options), std::move(mappers), journal::posix_files(), metrics);
}

/// The one that the server runs.
std::unique_ptr<pipeline::Sink> make_lane_sink(const config::Settings& settings,
                                               const std::filesystem::path& data_dir,
                                               journal::Journal& journal,
                                               telemetry::Registry& metrics) {
  auto options = sink_options(settings, cursor_file(data_dir));
  options.reached = [&journal](std::uint64_t next_sequence) { journal.replicated(next_sequence); };
  return make_sink(std::move(options), metrics);
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
    options.sets_aside = false;
  }
}

}  // namespace

std::uint64_t kafka_consumed_below(const std::filesystem::path& data_dir, const Uuid& journal) {
  auto cursor = kafka::stored_cursor(cursor_file(data_dir), journal, journal::posix_files());
  return cursor ? cursor->next_sequence : 0;
}

std::unique_ptr<pipeline::Sink> make_kafka_sink_apart(const config::Settings& settings,
                                                      const std::filesystem::path& cursor,
                                                      telemetry::Registry& metrics) {
  return make_sink(sink_options(settings, cursor), metrics);
}

void add_kafka_sink(const config::Settings& settings, const std::filesystem::path& data_dir,
                    journal::Journal& journal, SinkService& sinks, Guards& guards,
                    telemetry::Registry& metrics) {
  if (settings.kafka.brokers.empty()) return;
  // The client has tried for kafka.confirm_timeout before it says that a delivery failed.
  runtime::Guard& guard = guards.add("kafka", 0);
  auto& options = sinks.add(
      "kafka",
      [&settings, data_dir, &journal, &guard, &metrics](unsigned) {
        return pipeline::guard_sink(make_lane_sink(settings, data_dir, journal, metrics), guard);
      },
      journal);
  adjust_lane(settings, options);
}

}  // namespace trialwire
