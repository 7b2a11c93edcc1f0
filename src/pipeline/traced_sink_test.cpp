// SPDX-License-Identifier: Apache-2.0
#include "pipeline/traced_sink.hpp"

#include <gmock/gmock.h>

namespace trialwire::pipeline {
namespace {

class OneAnswer final : public Sink {
 public:
  explicit OneAnswer(Result<void> answer) : answer_(std::move(answer)) {}
  std::string_view name() const noexcept override { return "sqlite"; }
  Result<journal::Cursor> durable_cursor(const Uuid&) override { return journal::Cursor{}; }
  Result<void> deliver(std::span<const journal::Record>, const journal::Cursor&) override {
    return answer_;
  }
  void reset() noexcept override {}

 private:
  Result<void> answer_;
};

constexpr std::string_view callers = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
constexpr std::string_view untraced = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

const telemetry::TraceContext own{
    .trace = telemetry::new_trace_id(), .span = telemetry::new_request_span_id(), .sampled = true};
const telemetry::TraceparentText own_text = telemetry::traceparent_of(own);
const std::string_view traced{own_text.data(), own_text.size()};

std::vector<journal::Record> records(std::initializer_list<std::string_view> parents) {
  std::vector<journal::Record> made;
  for (const std::string_view parent : parents) {
    journal::Record record;
    record.attributes.traceparent = parent;
    record.sequence = made.size() + 1;
    made.push_back(record);
  }
  return made;
}

TEST(TracedSink, NotesADeliveryForEachRecordThatIsTraced) {
  telemetry::Tracer tracer(100);
  auto sink = trace_sink(std::make_unique<OneAnswer>(Result<void>{}), tracer);
  ASSERT_TRUE(sink->deliver(records({"", untraced, traced, "nonsense", callers}), {}));
  const auto spans = tracer.recent(100);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].name(), "sink sqlite");
  EXPECT_EQ(spans[0].trace, own.trace);
  EXPECT_EQ(spans[0].parent, own.span);
  EXPECT_EQ(spans[0].numbers[0].value, 3);
  EXPECT_EQ(spans[0].numbers[1].value, 5);
}

TEST(TracedSink, NotesNothingThatDidNotSucceedAndNotTooMuch) {
  telemetry::Tracer tracer(100);
  auto failing =
      trace_sink(std::make_unique<OneAnswer>(fail(ErrorCode::unavailable, "away")), tracer);
  EXPECT_FALSE(failing->deliver(records({traced}), {}));
  EXPECT_EQ(tracer.recorded(), 0U);
  auto sink = trace_sink(std::make_unique<OneAnswer>(Result<void>{}), tracer);
  std::vector<journal::Record> many(50, records({traced}).front());
  ASSERT_TRUE(sink->deliver(many, {}));
  EXPECT_EQ(tracer.recorded(), spans_of_a_delivery_max);
}

}  // namespace
}  // namespace trialwire::pipeline
