// SPDX-License-Identifier: Apache-2.0
// Records as events in Kafka: the sink, and with journal.ack: kafka the word to the journal that
// receipts may go out.
#pragma once
#include <cstdint>
#include <filesystem>

#include "config/settings.hpp"
#include "guards.hpp"
#include "journal/journal.hpp"
#include "serve_sinks.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire {

/// Up to where Kafka is, as its cursor's file says: a start need not verify that again. A file that
/// cannot be read, or of another journal, has everything verified.
std::uint64_t kafka_consumed_below(const std::filesystem::path& data_dir, const Uuid& journal);

/// Nothing is added when the settings name no brokers. All but `sinks` outlive it.
void add_kafka_sink(const config::Settings& settings, const std::filesystem::path& data_dir,
                    journal::Journal& journal, SinkService& sinks, Guards& guards,
                    telemetry::Registry& metrics);

/// For a replay: its cursor is in another file, the server's stays as it is.
std::unique_ptr<pipeline::Sink> make_kafka_sink_apart(const config::Settings& settings,
                                                      const std::filesystem::path& cursor,
                                                      telemetry::Registry& metrics);

}  // namespace trialwire
