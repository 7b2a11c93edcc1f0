// SPDX-License-Identifier: Apache-2.0
// Records as events in Kafka: the sink, its lane, and with journal.ack: kafka the word to the
// journal that receipts may go out.
#pragma once
#include <filesystem>
#include <memory>

#include "admin.hpp"
#include "config/settings.hpp"
#include "journal/journal.hpp"
#include "pipeline/lane.hpp"
#include "sink_progress.hpp"

namespace trialwire {

class KafkaService {
 public:
  /// Up to where Kafka is, as its cursor's file says: a start need not verify that again. A file
  /// that cannot be read, or of another journal, has everything verified.
  static std::uint64_t consumed_below(const std::filesystem::path& data_dir, const Uuid& journal);

  /// Null when the settings name no brokers.
  static std::unique_ptr<KafkaService> make(const config::Settings& settings,
                                            const std::filesystem::path& data_dir,
                                            journal::Journal& journal,
                                            telemetry::Registry& metrics);

  /// For a replay: its cursor is in another file, the server's stays as it is.
  static std::unique_ptr<pipeline::Sink> make_sink_apart(const config::Settings& settings,
                                                         const std::filesystem::path& cursor,
                                                         telemetry::Registry& metrics);

  /// Fails when the cursor is beyond the journal. Brokers that do not answer are no failure.
  Result<void> start() { return lane_.start(); }
  void stop() { lane_.stop(); }

  /// On the control shard. A lag that does not shrink is shown; intake goes on.
  ReadinessCheck readiness();

 private:
  KafkaService(const config::Settings& settings, const std::filesystem::path& data_dir,
               journal::Journal& journal, telemetry::Registry& metrics);

  journal::Journal& journal_;
  pipeline::Lane lane_;
  SinkProgress progress_{std::chrono::steady_clock::now()};
};

}  // namespace trialwire
