// SPDX-License-Identifier: Apache-2.0
#include "pipeline/traced_sink.hpp"

#include <utility>

#include <fmt/format.h>

namespace trialwire::pipeline {
namespace {

class TracedSink final : public Sink {
 public:
  TracedSink(std::unique_ptr<Sink> sink, telemetry::Tracer& tracer)
      : sink_(std::move(sink)),
        tracer_(tracer),
        span_name_(fmt::format("sink {}", sink_->name())) {}

  std::string_view name() const noexcept override { return sink_->name(); }
  Result<journal::Cursor> durable_cursor(const Uuid& journal) override {
    return sink_->durable_cursor(journal);
  }
  bool keeps_cursor_here() const noexcept override { return sink_->keeps_cursor_here(); }
  Result<void> deliver(std::span<const journal::Record> records,
                       const journal::Cursor& cursor) override {
    const std::int64_t began_ns = telemetry::span_clock_ns();
    auto done = sink_->deliver(records, cursor);
    if (done) note(records, began_ns);
    return done;
  }
  void reset() noexcept override { sink_->reset(); }
  bool rolled_back() const noexcept override { return sink_->rolled_back(); }
  void give_up() noexcept override { sink_->give_up(); }

 private:
  void note(std::span<const journal::Record> records, std::int64_t began_ns) noexcept {
    std::size_t noted = 0;
    const std::int64_t ended_ns = telemetry::span_clock_ns();
    for (const journal::Record& record : records) {
      if (record.attributes.traceparent.empty()) [[likely]]
        continue;
      const auto asked = telemetry::parse_traceparent(record.attributes.traceparent);
      if (!asked || !asked->sampled || !telemetry::is_request_span_id(asked->span)) continue;
      if (noted++ == spans_of_a_delivery_max) return;
      telemetry::Span span{.trace = asked->trace,
                           .id = telemetry::new_span_id(),
                           .parent = asked->span,
                           .kind = telemetry::SpanKind::consumer,
                           .begin_unix_ns = began_ns,
                           .end_unix_ns = ended_ns};
      span.set_name(span_name_);
      span.add({"trialwire.sequence", static_cast<std::int64_t>(record.sequence)});
      span.add({"trialwire.delivery.records", static_cast<std::int64_t>(records.size())});
      tracer_.record(span);
    }
  }

  std::unique_ptr<Sink> sink_;
  telemetry::Tracer& tracer_;
  const std::string span_name_;
};

}  // namespace

std::unique_ptr<Sink> trace_sink(std::unique_ptr<Sink> sink, telemetry::Tracer& tracer) {
  return std::make_unique<TracedSink>(std::move(sink), tracer);
}

}  // namespace trialwire::pipeline
