// SPDX-License-Identifier: Apache-2.0
// The journal into Kafka: a message a record, keyed by patient, device or study, acknowledged by
// every in-sync replica before a delivery is.
//
// At least once, in the order of the journal for each key. A record comes twice only after a crash
// of the process, or when the producer had to be replaced; then with the same key and record_id.
//
// The cursor is a small file of this machine (cursor_file.hpp; docs/decisions/kafka-cursor.md), not
// a part of the delivery: it is stored after the delivery reports, at most every `cursor_interval`
// and at the end, over what was delivered without a gap. What a crash takes of it is sent again.
//
// A delivery that fails leaves what it sent in the producer's queue, which goes on with it: when it
// comes again, only what failed is sent. So an outage costs no repetition, however long it is.
//
// Errors of a delivery: payload_too_large (size and limit in the text) and invalid_argument are of
// one of its messages and will not pass; not_found and forbidden (the topic is named),
// unauthenticated, unavailable (what brokers last said) pass or are an operator's to mend. All
// others make `reset` replace the producer.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "journal/file_layer.hpp"
#include "pipeline/sink.hpp"
#include "storage/kafka/message.hpp"
#include "storage/kafka/producer.hpp"
#include "storage/kafka/topics.hpp"

namespace trialwire::telemetry {
class Registry;
}

namespace trialwire::storage::kafka {

struct SinkOptions {
  ProducerOptions producer;
  ValueForm value = ValueForm::json;
  std::vector<KindTopic> topics;
  std::optional<TopicShape> create_topics;  // none: the brokers make them, or an operator does
  std::filesystem::path cursor_file;
  /// Told on the sink's thread whenever more is delivered without a gap: everything before that
  /// sequence. Empty: nobody asks.
  std::function<void(std::uint64_t next_sequence)> reached;
  std::chrono::milliseconds cursor_interval{100};
  /// A delivery of which nothing is reported for so long says so, and is asked for again.
  std::chrono::milliseconds patience{5'000};
  std::chrono::milliseconds admin_wait{5'000};
};

/// The cursor that this sink stored, without a sink. Errors: as Sink::durable_cursor.
Result<journal::Cursor> stored_cursor(const std::filesystem::path& cursor_file, const Uuid& journal,
                                      journal::FileLayer& files);

/// `files` and `metrics` outlive it.
std::unique_ptr<pipeline::Sink> make_sink(SinkOptions options,
                                          std::vector<std::unique_ptr<EventMapper>> mappers,
                                          journal::FileLayer& files, telemetry::Registry& metrics);

}  // namespace trialwire::storage::kafka
