// SPDX-License-Identifier: Apache-2.0
#include "net/request_traces.hpp"

#include <gmock/gmock.h>

namespace trialwire::net {
namespace {

using testing::HasSubstr;

constexpr std::string_view sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
constexpr std::string_view not_sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
constexpr std::int64_t second_ns = 1'000'000'000;

class RequestTracesTest : public testing::Test {
 protected:
  RequestTraces traces(TraceOptions options) {
    options.tracer = &tracer;
    return {options, "http", metrics};
  }
  static std::optional<telemetry::RequestTrace> ask(RequestTraces& traces,
                                                    std::vector<HeaderField> headers,
                                                    std::int64_t now_ns = 0) {
    KnownHeaderIndex known{};
    for (std::size_t i = 0; i < headers.size(); ++i) {
      if (auto which = known_header(headers[i].name)) {
        auto& place = known[static_cast<std::size_t>(*which)];
        if (place == 0) place = static_cast<std::uint8_t>(i + 1);
      }
    }
    Request request{.method = Method::post, .headers = headers, .known = &known};
    if (!traces.comes_up(request)) return std::nullopt;
    return traces.begin(request, 5, now_ns);
  }

  telemetry::Tracer tracer{16};
  telemetry::Registry metrics;
};

TEST_F(RequestTracesTest, FollowsTheCallersDecision) {
  auto one = traces({.ratio = 1});
  const auto trace = ask(one, {{"Traceparent", sampled}});
  ASSERT_TRUE(trace);
  const auto caller = *telemetry::parse_traceparent(sampled);
  EXPECT_EQ(trace->context.trace, caller.trace);
  EXPECT_EQ(trace->parent, caller.span);
  EXPECT_NE(trace->context.span, caller.span);
  EXPECT_EQ(trace->begin_unix_ns, 5);
  EXPECT_FALSE(ask(one, {{"traceparent", not_sampled}}));
}

TEST_F(RequestTracesTest, DecidesByChanceWhereNobodyElseHas) {
  auto never = traces({.ratio = 0});
  auto always = traces({.ratio = 1, .per_second = 1'000'000});
  auto quarter = traces({.ratio = 0.25, .per_second = 1'000'000});
  int traced = 0;
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_FALSE(ask(never, {}));
    ASSERT_TRUE(ask(always, {}, second_ns * i));
    if (ask(quarter, {}, second_ns * i)) ++traced;
  }
  EXPECT_NEAR(traced, 2'500, 220);  // five standard deviations
  const auto one = ask(always, {}, second_ns * 20'000);
  EXPECT_EQ(one->parent, telemetry::SpanId{});
  EXPECT_NE(one->context.trace, telemetry::TraceId{});
}

TEST_F(RequestTracesTest, TakesWhatIsMalformedForNothing) {
  auto always = traces({.ratio = 1});
  for (const std::vector<HeaderField>& headers :
       {std::vector<HeaderField>{{"traceparent", "00-nonsense"}},
        std::vector<HeaderField>{{"traceparent", sampled}, {"traceparent", sampled}}}) {
    const auto trace = ask(always, headers);
    ASSERT_TRUE(trace);  // by chance, as a trace of its own
    EXPECT_EQ(trace->parent, telemetry::SpanId{});
  }
  EXPECT_THAT(metrics.text(),
              HasSubstr("trialwire_traces_total{result=\"malformed\",server=\"http\"} 2"));
  auto never = traces({.ratio = 0});
  EXPECT_FALSE(ask(never, {{"traceparent", "00-nonsense"}}));
}

TEST_F(RequestTracesTest, TracesNoMoreThanItMay) {
  auto few = traces({.per_second = 3});
  int traced = 0;
  for (int i = 0; i < 10; ++i) {
    if (ask(few, {{"traceparent", sampled}})) ++traced;
  }
  EXPECT_EQ(traced, 3);
  EXPECT_THAT(metrics.text(),
              HasSubstr("trialwire_traces_total{result=\"over_the_limit\",server=\"http\"} 7"));
  EXPECT_TRUE(ask(few, {{"traceparent", sampled}}, second_ns));
}

TEST_F(RequestTracesTest, DoesNotFollowCallersWhereItIsNotTo) {
  auto own = traces({.ratio = 1, .callers = false});
  EXPECT_TRUE(ask(own, {{"traceparent", not_sampled}}));
  auto none = traces({.ratio = 0, .callers = false});
  EXPECT_FALSE(ask(none, {{"traceparent", sampled}}));
}

TEST_F(RequestTracesTest, WithoutATracerTracesNothing) {
  RequestTraces off({.ratio = 1}, "http", metrics);
  EXPECT_FALSE(ask(off, {{"traceparent", sampled}}));
}

TEST_F(RequestTracesTest, NamesTheRouteAndNeverTheTarget) {
  auto one = traces({});
  const auto trace = ask(one, {{"traceparent", sampled}});
  Route route{.pattern = "/v1/projects/:id"};
  RequestTraces::end(*trace, {.route = &route, .method = Method::get, .status = 503});
  const auto spans = tracer.recent(1);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].name(), "GET /v1/projects/:id");
  EXPECT_EQ(spans[0].kind, telemetry::SpanKind::server);
  EXPECT_TRUE(spans[0].failed);
  EXPECT_EQ(spans[0].numbers[0].value, 503);
  EXPECT_GE(spans[0].end_unix_ns, spans[0].begin_unix_ns);
}

}  // namespace
}  // namespace trialwire::net
