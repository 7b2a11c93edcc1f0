// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "telemetry/trace/tracer.hpp"

namespace trialwire::telemetry {
namespace {

using testing::HasSubstr;

constexpr std::string_view example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(Traceparent, IsReadAndWrittenAlike) {
  const auto context = parse_traceparent(example);
  ASSERT_TRUE(context);
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(context->trace[0], 0x0a);
  EXPECT_EQ(context->trace[15], 0x9c);
  EXPECT_EQ(context->span[0], 0xb7);
  const TraceparentText text = traceparent_of(*context);
  EXPECT_EQ(std::string_view(text.data(), text.size()), example);
  EXPECT_FALSE(
      parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")->sampled);
  // Flags that are not known yet are not looked at.
  EXPECT_TRUE(
      parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff")->sampled);
  EXPECT_FALSE(
      parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02")->sampled);
}

TEST(Traceparent, OfALaterVersionMayHoldMore) {
  const std::string later = "cc" + std::string(example.substr(2));
  EXPECT_TRUE(parse_traceparent(later));
  EXPECT_TRUE(parse_traceparent(later + "-what-the-future-brings"));
  EXPECT_FALSE(parse_traceparent(later + ".what"));
  EXPECT_FALSE(parse_traceparent(later + "-\x01"));
  EXPECT_FALSE(parse_traceparent(later + "-" + std::string(250, 'x')));
}

TEST(Traceparent, ThatIsNotWellFormedIsNone) {
  const std::string good(example);
  auto with = [&good](std::size_t at, std::string_view text) {
    std::string bad = good;
    return bad.replace(at, text.size(), text);
  };
  for (const std::string& bad :
       {std::string(), good.substr(1), good + "0", good + "-", with(0, "ff"), with(0, "0G"),
        with(3, std::string(32, '0')), with(36, std::string(16, '0')), with(3, "A"), with(36, "B"),
        with(53, "0x"), with(2, "_"), with(35, " "), with(52, ":"), " " + good, good + " "}) {
    EXPECT_FALSE(parse_traceparent(bad)) << bad;
  }
}

TEST(TraceIds, AreRandomAndNeverZero) {
  std::vector<TraceId> ids;
  for (int i = 0; i < 1'000; ++i) ids.push_back(new_trace_id());
  std::ranges::sort(ids);
  EXPECT_EQ(std::ranges::adjacent_find(ids), ids.end());
  EXPECT_NE(ids.front(), TraceId{});
}

TEST(SpanIds, OfRequestsAreToldFromOthers) {
  int taken_for_one = 0;
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_TRUE(is_request_span_id(new_request_span_id()));
    if (is_request_span_id(new_span_id())) ++taken_for_one;
  }
  EXPECT_LE(taken_for_one, 5);  // 0.15 is expected
  EXPECT_NE(new_request_span_id(), new_request_span_id());
  EXPECT_FALSE(is_request_span_id(parse_traceparent(example)->span));
}

Span span_named(std::string_view name) {
  Span span{.trace = parse_traceparent(example)->trace, .id = {1}, .parent = {2}};
  span.set_name(name);
  return span;
}

TEST(TracerTest, KeepsTheNewestAndCountsWhatWasMissed) {
  Tracer tracer(4);
  for (const std::string_view name : {"0", "1", "2", "3", "4", "5"})
    tracer.record(span_named(name));
  EXPECT_EQ(tracer.recorded(), 6U);
  auto spans = tracer.recent(2);
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0].name(), "4");
  EXPECT_EQ(spans[1].name(), "5");
  EXPECT_EQ(tracer.recent(100).size(), 4U);
  auto page = tracer.from(0, 3);
  EXPECT_EQ(page.missed, 2U);
  ASSERT_EQ(page.spans.size(), 3U);
  EXPECT_EQ(page.spans[0].name(), "2");
  page = tracer.from(page.next, 3);
  EXPECT_EQ(page.missed, 0U);
  EXPECT_EQ(page.spans.size(), 1U);
  EXPECT_TRUE(tracer.from(page.next, 3).spans.empty());
}

TEST(TracerTest, CutsNamesAndKeepsFewNumbers) {
  Span span = span_named(std::string(200, 'x'));
  EXPECT_EQ(span.name().size(), Span::name_bytes_max);
  for (int i = 0; i < 5; ++i) span.add({"n", i});
  EXPECT_EQ(span.number_count, Span::numbers_max);
}

TEST(OtlpJson, IsWhatACollectorReads) {
  Span span = span_named("POST /v1/epro/reports");
  span.kind = SpanKind::server;
  span.begin_unix_ns = 1'000;
  span.end_unix_ns = 2'000;
  span.failed = true;
  span.add({"http.response.status_code", 500});
  EXPECT_EQ(otlp_json({span}, {"1.0", "host:1"}),
            R"({"resourceSpans":[{"resource":{"attributes":[)"
            R"({"key":"service.name","value":{"stringValue":"trialwire"}},)"
            R"({"key":"service.version","value":{"stringValue":"1.0"}},)"
            R"({"key":"service.instance.id","value":{"stringValue":"host:1"}}]},)"
            R"("scopeSpans":[{"scope":{"name":"trialwire"},"spans":[)"
            R"({"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"0100000000000000",)"
            R"("parentSpanId":"0200000000000000","name":"POST /v1/epro/reports",)"
            R"("kind":2,"startTimeUnixNano":"1000","endTimeUnixNano":"2000","attributes":[)"
            R"({"key":"http.request.method","value":{"stringValue":"POST"}},)"
            R"({"key":"http.route","value":{"stringValue":"/v1/epro/reports"}},)"
            R"({"key":"http.response.status_code","value":{"intValue":"500"}}],)"
            R"("status":{"code":2}}]}]}]})");
  EXPECT_THAT(otlp_json({span_named("decode")}, {}), HasSubstr(R"("attributes":[],"status":{})"));
}

TEST(RequestTraceTest, HasChildrenOfItsOwnSpan) {
  Tracer tracer(4);
  const RequestTrace trace{.tracer = &tracer, .context = *parse_traceparent(example)};
  trace.child("decode", {10, 20}, {{"records", 3}});
  const auto spans = tracer.recent(1);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].trace, trace.context.trace);
  EXPECT_EQ(spans[0].parent, trace.context.span);
  EXPECT_NE(spans[0].id, trace.context.span);
  EXPECT_EQ(spans[0].numbers[0].value, 3);
}

}  // namespace
}  // namespace trialwire::telemetry
