// SPDX-License-Identifier: Apache-2.0
#include "trace_export.hpp"

#include <gmock/gmock.h>

namespace trialwire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A collector that answers as it is told, in turn, the last answer for ever.
struct Collector {
  Result<CollectorAnswer> take(const TraceExport::Attempt& attempt) {
    std::unique_lock lock(mutex);
    bodies.push_back(attempt.body);
    const Result<CollectorAnswer> answer = answers.front();
    if (answers.size() > 1) answers.erase(answers.begin());
    changed.notify_all();
    changed.wait(lock, attempt.stop, [this] { return !hangs; });
    if (attempt.stop.stop_requested()) return fail(ErrorCode::cancelled, "taken back");
    return answer;
  }
  void wait_for(std::size_t count) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(
        changed.wait_for(lock, std::chrono::seconds(30), [&] { return bodies.size() >= count; }));
  }

  void hang(bool on) {
    const std::scoped_lock lock(mutex);
    hangs = on;
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable_any changed;
  std::vector<Result<CollectorAnswer>> answers{CollectorAnswer{.status = 200}};
  std::vector<std::string> bodies;
  bool hangs = false;
};

CollectorAnswer status(unsigned code) {
  return {.status = code};
}

class TraceExportTest : public testing::Test {
 protected:
  void record(std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) {
      telemetry::Span span{.trace = {1}, .id = {2}};
      span.set_name(name);
      tracer.record(span);
    }
  }
  TraceExport exporter(std::chrono::milliseconds interval = std::chrono::milliseconds(1)) {
    TraceExportOptions options;
    options.interval = interval;
    options.batch_spans = 3;
    options.backoff = {.first = std::chrono::milliseconds(1), .cap = std::chrono::milliseconds(2)};
    return {options,
            tracer,
            {"1", "here"},
            [this](const TraceExport::Attempt& attempt) { return collector.take(attempt); },
            metrics};
  }
  std::string spans(std::string_view result) const {
    const std::string name =
        fmt::format("trialwire_trace_export_spans_total{{result=\"{}\"}} ", result);
    const std::string text = metrics.text();
    const std::size_t at = text.find(name);
    if (at == std::string::npos) return "none";
    return text.substr(at + name.size(), text.find('\n', at) - at - name.size());
  }

  telemetry::Tracer tracer{8};
  telemetry::Registry metrics;
  Collector collector;
};

TEST_F(TraceExportTest, SendsEachSpanOnceInBatches) {
  auto one = exporter();
  record({"a", "b", "c", "d"});
  one.start();
  collector.wait_for(2);
  record({"e"});
  collector.wait_for(3);
  one.stop();
  ASSERT_EQ(collector.bodies.size(), 3U);
  EXPECT_THAT(collector.bodies[0], HasSubstr(R"("name":"c")"));
  EXPECT_THAT(collector.bodies[1], HasSubstr(R"("name":"d")"));
  EXPECT_THAT(collector.bodies[2], HasSubstr(R"("name":"e")"));
  EXPECT_EQ(spans("sent"), "5");
}

TEST_F(TraceExportTest, RepeatsWhatCouldNotBeTakenAndCountsWhatWasOverwritten) {
  collector.answers = {fail(ErrorCode::unavailable, "away"), status(503), status(429), status(200)};
  auto one = exporter();
  record({"a", "b"});
  one.start();
  collector.wait_for(4);
  one.stop();
  for (const std::string& body : collector.bodies) EXPECT_THAT(body, HasSubstr(R"("name":"a")"));
  EXPECT_EQ(spans("sent"), "2");
  EXPECT_EQ(spans("dropped"), "0");
  record({"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"});
  one.start();
  one.stop();
  EXPECT_EQ(spans("dropped"), "2");
}

TEST_F(TraceExportTest, DropsWhatIsRefusedForGood) {
  collector.answers = {status(400), status(200)};
  auto one = exporter();
  record({"a"});
  one.start();
  collector.wait_for(1);
  record({"b"});
  collector.wait_for(2);
  one.stop();
  EXPECT_THAT(collector.bodies[1], HasSubstr(R"("name":"b")"));
  EXPECT_EQ(spans("refused"), "1");
  EXPECT_EQ(spans("sent"), "1");
}

TEST_F(TraceExportTest, SendsAllThatIsLeftAtAStop) {
  auto one = exporter(std::chrono::hours(1));
  one.start();
  record({"a", "b", "c", "d"});
  one.stop();
  EXPECT_EQ(collector.bodies.size(), 2U);
  EXPECT_EQ(spans("sent"), "4");
}

TEST_F(TraceExportTest, TriesOnceAtAStopAndCountsWhatIsLost) {
  collector.answers = {status(503)};
  auto one = exporter(std::chrono::hours(1));
  one.start();
  record({"a", "b", "c", "d"});
  one.stop();
  EXPECT_EQ(collector.bodies.size(), 1U);
  EXPECT_EQ(spans("dropped"), "4");
}

TEST_F(TraceExportTest, NobodyWaitsForACollectorThatHangs) {
  auto one = exporter();
  collector.hang(true);
  record({"a"});
  one.start();
  collector.wait_for(1);
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 1'000; ++i) record({"b"});
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));  // 30 s, if it did
  collector.hang(false);
  collector.wait_for(4);
  one.stop();
  EXPECT_EQ(spans("sent"), "9");  // the first, and those of the ring
  EXPECT_EQ(spans("dropped"), "992");
}

TEST_F(TraceExportTest, AStopTakesBackACallThatHangs) {
  auto one = exporter();
  collector.hang(true);
  record({"a"});
  one.start();
  collector.wait_for(1);
  std::jthread later([this] {
    collector.wait_for(2);  // the attempt of the stop, which has a deadline of its own
    collector.hang(false);
  });
  one.stop();
  EXPECT_EQ(collector.bodies.size(), 2U);
  EXPECT_EQ(spans("sent"), "1");
}

TEST_F(TraceExportTest, WaitsAsLongAsTheCollectorSays) {
  collector.answers = {CollectorAnswer{.status = 503, .retry_after = std::chrono::seconds(1)},
                       status(200)};
  auto one = exporter();
  record({"a"});
  const auto began = std::chrono::steady_clock::now();
  one.start();
  collector.wait_for(2);
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::seconds(1));
  one.stop();
}

TEST_F(TraceExportTest, CountsWhatWasTakenInPart) {
  collector.answers = {CollectorAnswer{.status = 200, .rejected = 2}};
  auto one = exporter(std::chrono::hours(1));
  record({"a", "b", "c"});
  one.start();
  collector.wait_for(1);
  one.stop();
  EXPECT_EQ(spans("sent"), "1");
  EXPECT_EQ(spans("refused"), "2");
}

TEST(RejectedSpans, AreReadFromAnswersOfAllKinds) {
  EXPECT_EQ(rejected_spans(R"({"partialSuccess":{"rejectedSpans":"7","errorMessage":"x"}})"), 7U);
  EXPECT_EQ(rejected_spans(R"({"partialSuccess":{"rejectedSpans":7}})"), 7U);
  for (const char* none :
       {"", "{}", "[]", "null", "{\"partialSuccess\":{}}", "{\"partialSuccess\":[]}", "<html>",
        R"({"partialSuccess":{"rejectedSpans":"7x"}})",
        R"({"partialSuccess":{"rejectedSpans":-1}})",
        R"({"partialSuccess":{"rejectedSpans":null}})"}) {
    EXPECT_EQ(rejected_spans(none), 0U) << none;
  }
}

}  // namespace
}  // namespace trialwire
