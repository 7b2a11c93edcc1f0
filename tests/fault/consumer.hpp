// SPDX-License-Identifier: Apache-2.0
// The pipeline's lane, carrying records from the journal to the model of a sink.
#pragma once
#include <chrono>
#include <memory>

#include "fault/model_sink.hpp"
#include "fault/verdict.hpp"
#include "pipeline/lane.hpp"
#include "support/faulty_files.hpp"

namespace trialwire::fault {

/// What the lane sees of the model, which outlives it.
class LaneSink final : public pipeline::Sink {
 public:
  LaneSink(ModelSink& model, support::FaultyFiles& disk, Verdict& verdict)
      : model_(model), disk_(disk), verdict_(verdict) {}

  std::string_view name() const noexcept override { return "model"; }

  Result<journal::Cursor> durable_cursor(const Uuid& journal) override {
    return journal::Cursor{journal, model_.cursor()};
  }

  Result<void> deliver(std::span<const journal::Record> records,
                       const journal::Cursor& cursor) override {
    auto done = model_.deliver(records, cursor);
    if (!done && done.error().code != ErrorCode::unavailable && disk_.powered()) {
      verdict_.fail("cannot deliver: {}", done.error().text);
    }
    return done;
  }

  void reset() noexcept override {}

 private:
  ModelSink& model_;
  support::FaultyFiles& disk_;
  Verdict& verdict_;
};

/// A lane that does not dally.
inline std::unique_ptr<pipeline::Lane> make_lane(journal::Journal& journal,
                                                 std::unique_ptr<pipeline::Sink> sink,
                                                 telemetry::Registry& metrics) {
  using namespace std::chrono_literals;
  pipeline::LaneOptions options;
  options.batch_delay = 0ms;
  options.delivery_interval = 0ms;
  options.backoff = {.first = 1ms, .cap = 2ms};
  options.background = false;
  return std::make_unique<pipeline::Lane>(std::move(options), journal, std::move(sink), metrics);
}

}  // namespace trialwire::fault
