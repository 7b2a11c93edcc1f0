// SPDX-License-Identifier: Apache-2.0
// A processor without a gateway: a member of Kafka's consumer group, whose partitions go into the
// database as a journal would.
#pragma once
#include <string_view>

#include "admin.hpp"
#include "config/settings.hpp"
#include "pipeline/lane_options.hpp"
#include "sink_progress.hpp"
#include "storage/kafka/group.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire {

class ProcessorService {
 public:
  /// `make_sink` gives the database's sink, one a partition; `lane` is what bounds each one's lane.
  ProcessorService(const config::Settings& settings, pipeline::LaneOptions lane,
                   storage::kafka::GroupMember::MakeSink make_sink, telemetry::Registry& metrics);

  Result<void> start() { return member_.start(); }
  void stop() { member_.stop(); }

  /// On the control shard. Not ok: the group has not taken it in, a partition's database does not
  /// say where it is, or what waits there gets no further. A member without partitions is ready to
  /// take over.
  ReadinessCheck readiness();

 private:
  storage::kafka::GroupMember member_;
  SinkProgress progress_;
};

}  // namespace trialwire
