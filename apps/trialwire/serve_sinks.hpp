// SPDX-License-Identifier: Apache-2.0
// Where records go: every sink with its lanes, from this machine's journal or, of a processor
// without a gateway, from Kafka's partitions; and the dead letters of all of them. Which sinks
// there are is told by who has them, before the start.
#pragma once
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "admin.hpp"
#include "config/settings.hpp"
#include "journal/journal.hpp"
#include "pipeline/dead_letter_watch.hpp"
#include "pipeline/dead_letters.hpp"
#include "pipeline/sink_lanes.hpp"
#include "serve_processor.hpp"
#include "sink_progress.hpp"
#include "telemetry/metrics.hpp"
#include "telemetry/trace/tracer.hpp"

namespace trialwire {

class SinkService {
 public:
  SinkService(const config::Settings& settings, const std::filesystem::path& data_dir,
              telemetry::Registry& metrics);

  /// Deliveries are seen in traces; before any sink is added. The tracer outlives this.
  void trace_to(telemetry::Tracer& tracer) noexcept { tracer_ = &tracer; }

  /// `name` is what its sinks call themselves, and what pipeline.sinks calls it. Returned are the
  /// lanes' options as the settings say, to be changed before the start where the sink knows
  /// better. `from` is what they read, and outlives this.
  pipeline::LaneOptions& add(std::string_view name, pipeline::SinkLanes::MakeSink make_sink,
                             journal::Journal& from);
  /// Of a processor without a gateway: what Kafka's group gives this process goes to that sink.
  /// `adapt` changes the lanes' options where the sink knows better.
  void add_group(std::string_view name, storage::kafka::GroupMember::MakeSink make_sink,
                 const std::function<void(pipeline::LaneOptions&)>& adapt);

  /// When all are added, before anything of them is asked: makes their lanes; the journal then
  /// keeps everything for all of them. Fails when it is not known how many lanes a sink has.
  Result<void> prepare();
  /// Fails when a sink's cursor does not belong to this journal.
  Result<void> start();
  /// All of them together: it takes as long as the slowest, a second or so.
  void stop();

  /// On the control shard, one a sink. A lag that does not shrink is shown; intake goes on.
  std::vector<ReadinessCheck> readiness();

 private:
  struct One {
    std::string name;
    pipeline::SinkLanesOptions options;
    pipeline::SinkLanes::MakeSink make_sink;
    journal::Journal* from = nullptr;
    std::unique_ptr<pipeline::SinkLanes> lanes;  // once prepared
    SinkProgress progress;
  };

  const config::Settings& settings_;
  const std::filesystem::path data_dir_;
  telemetry::Registry& metrics_;
  std::unique_ptr<pipeline::DeadLetters> dead_letters_;  // before what uses it
  pipeline::DeadLetterWatch watch_;
  telemetry::Tracer* tracer_ = nullptr;  // null: nothing is traced
  std::deque<One> sinks_;
  std::unique_ptr<ProcessorService> processor_;  // null: no group
};

}  // namespace trialwire
