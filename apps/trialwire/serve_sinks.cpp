// SPDX-License-Identifier: Apache-2.0
#include "serve_sinks.hpp"

#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "data_directory.hpp"
#include "pipeline/traced_sink.hpp"
#include "serve_options.hpp"
#include "storage/sql/sqlite/dead_letter_store.hpp"

namespace trialwire {
namespace {

const config::SinkSettings& settings_of(const config::Settings& settings, std::string_view name) {
  static const config::SinkSettings none;
  const auto& all = settings.pipeline;
  if (name == "sqlite") return all.sqlite;
  if (name == "postgres") return all.postgres;
  if (name == "mysql") return all.mysql;
  if (name == "kafka") return all.kafka;
  return none;
}

/// Those that have one connection and one order, whatever `pipeline.lanes` says.
bool has_one_lane(std::string_view name) {
  return name != "postgres" && name != "mysql";
}

}  // namespace

SinkService::SinkService(const config::Settings& settings, const std::filesystem::path& data_dir,
                         telemetry::Registry& metrics)
    : settings_(settings),
      data_dir_(data_dir),
      metrics_(metrics),
      dead_letters_(storage::sqlite::make_dead_letters(dead_letters_path(data_dir))),
      watch_({.delivered_keep = settings.pipeline.dead_letters_keep}, *dead_letters_, metrics) {}

pipeline::LaneOptions& SinkService::add(std::string_view name,
                                        pipeline::SinkLanes::MakeSink make_sink,
                                        journal::Journal& from) {
  auto options = lane_options(settings_, name, settings_of(settings_, name), data_dir_);
  if (has_one_lane(name)) options.lanes = 1;
  options.each.dead_letters = dead_letters_.get();
  if (tracer_ != nullptr) {
    make_sink = [make = std::move(make_sink), tracer = tracer_](unsigned lane) {
      return pipeline::trace_sink(make(lane), *tracer);
    };
  }
  watch_.add(name);
  sinks_.push_back({.name = std::string(name),
                    .options = std::move(options),
                    .make_sink = std::move(make_sink),
                    .from = &from,
                    .lanes = nullptr,
                    .progress = SinkProgress(std::chrono::steady_clock::now())});
  return sinks_.back().options.each;
}

void SinkService::add_group(std::string_view name, storage::kafka::GroupMember::MakeSink make_sink,
                            const std::function<void(pipeline::LaneOptions&)>& adapt) {
  const config::SinkSettings& own = settings_of(settings_, name);
  auto options = lane_options(settings_, name, own, data_dir_).each;
  options.dead_letters = dead_letters_.get();
  watch_.add(name);
  // There is no intake here to give way to.
  options.background = own.priority == config::SinkPriority::background;
  adapt(options);
  if (tracer_ != nullptr) {
    make_sink = [make = std::move(make_sink), tracer = tracer_] {
      return pipeline::trace_sink(make(), *tracer);
    };
  }
  processor_ = std::make_unique<ProcessorService>(settings_, std::move(options),
                                                  std::move(make_sink), metrics_);
}

Result<void> SinkService::prepare() {
  for (One& sink : sinks_) {
    sink.lanes =
        std::make_unique<pipeline::SinkLanes>(sink.options, *sink.from, sink.make_sink, metrics_);
    if (auto prepared = sink.lanes->prepare(); !prepared) return prepared;
  }
  return {};
}

Result<void> SinkService::start() {
  for (One& sink : sinks_) {
    if (auto started = sink.lanes->start(); !started) return started;
  }
  watch_.start();
  if (processor_) return processor_->start();
  return {};
}

void SinkService::stop() {
  watch_.stop();
  if (processor_) processor_->stop();
  for (One& sink : sinks_) {
    if (sink.lanes) sink.lanes->request_stop();
  }
  for (One& sink : sinks_) {
    if (sink.lanes) sink.lanes->stop();
  }
}

std::vector<ReadinessCheck> SinkService::readiness() {
  std::vector<ReadinessCheck> checks;
  for (One& sink : sinks_) {
    const std::uint64_t end = sink.from->status().next_sequence;
    auto check = sink.progress.check(sink.lanes->next_sequence(), end,
                                     std::chrono::steady_clock::now(), sink.lanes->trouble());
    check.name = fmt::format("sink {}", sink.name);
    checks.push_back(std::move(check));
  }
  if (processor_) checks.push_back(processor_->readiness());
  return checks;
}

}  // namespace trialwire
