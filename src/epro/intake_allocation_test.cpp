// SPDX-License-Identifier: Apache-2.0
// Warm, taking in a report allocates nothing: counted by replacing operator new in this program.
// Not under ThreadSanitizer, whose own operator new cannot be replaced.
#if !__has_feature(thread_sanitizer)
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <string>

#include "auth/authenticator.hpp"
#include "auth/signer.hpp"
#include "epro/report_intake.hpp"
#include "support/fake_appender.hpp"
#include "support/fake_exchange.hpp"
#include "telemetry/trace/tracer.hpp"

namespace {
std::atomic<std::size_t> allocations{0};
std::atomic<bool> exhausted{false};  // there is no memory
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (exhausted) throw std::bad_alloc();
  if (void* place = std::malloc(size == 0 ? 1 : size)) return place;
  throw std::bad_alloc();
}
void operator delete(void* place) noexcept {
  std::free(place);
}
void operator delete(void* place, std::size_t) noexcept {
  std::free(place);
}

namespace trialwire::epro {
namespace {

constexpr std::int64_t now_ns = 1'772'352'930'000'000'000;

std::string report(int number) {
  return fmt::format(
      R"({{"patientId":"P-{}","trialId":"T-1","timestamp":"2026-03-01T08:15:30Z",)"
      R"("qolScore":7,"comments":"caf\u00e9","reportId":"R-{}",)"
      R"("answers":{{"Q1":3,"Q2":"of\u00a0ten"}},"unknown":{{"a":[1,{{"b":{{"c":1}}}}],)"
      R"("d":{{"0":0,"1":1,"2":2,"3":3,"4":4,"5":5,"6":6,"7":7,"8":8,"\u0039":9}}}}}})",
      number, number);
}

/// Allocations of the last of a few equal requests.
std::size_t allocations_when_warm(const testing::FakeRequest& request,
                                  const telemetry::RequestTrace* trace = nullptr) {
  testing::FakeAppender appender;
  appender.keep_records = false;
  journal::Appender* appenders[] = {&appender};
  telemetry::Registry registry;
  ReportIntake intake({}, appenders, registry);
  testing::FakeExchange exchange;
  exchange.follow(trace);
  std::size_t during = 0;
  for (int i = 0; i < 5; ++i) {
    exchange.begin(request);
    std::size_t before = allocations.load();
    exchange.run([&](net::Exchange& one) { intake.intake(0, 0).handle(one, now_ns); });
    appender.commit();
    int status = exchange.response().status;
    during = allocations.load() - before;
    EXPECT_EQ(status, 200) << exchange.response().body;
  }
  return during;
}

TEST(IntakeAllocation, is_none_for_one_report) {
  EXPECT_EQ(allocations_when_warm({"", {{"Content-Type", "application/json"}}, report(1)}), 0u);
}

TEST(IntakeAllocation, is_none_for_a_trace_context_whether_it_is_followed_or_not) {
  const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const testing::FakeRequest request{
      "", {{"Content-Type", "application/json"}, {"traceparent", parent}}, report(1)};
  EXPECT_EQ(allocations_when_warm(request), 0u);
  telemetry::Tracer tracer(4);
  const telemetry::RequestTrace trace{.tracer = &tracer,
                                      .context = *telemetry::parse_traceparent(parent)};
  EXPECT_EQ(allocations_when_warm(request, &trace), 0u);
  EXPECT_EQ(tracer.recorded(), 10u);  // decode and journal, of five
}

TEST(IntakeAllocation, is_none_for_many_lines) {
  std::string body;
  for (int i = 0; i < 500; ++i) body += report(i) + "\n";
  EXPECT_EQ(allocations_when_warm({"", {{"Content-Type", "application/x-ndjson"}}, body}), 0u);
}

TEST(IntakeAllocation, is_none_for_an_array) {
  std::string body = "[" + report(0);
  for (int i = 1; i < 100; ++i) body += "," + report(i);
  EXPECT_EQ(allocations_when_warm({"", {}, body + "]"}), 0u);
}

std::unique_ptr<auth::KeyRing> ring_of_secret(telemetry::Registry& metrics) {
  auto path = std::filesystem::temp_directory_path() /
              ("trialwire-allocation-" + std::to_string(::getpid()));
  std::ofstream(path) << std::string(40, 's');
  ::chmod(path.c_str(), 0600);
  auto keys = auth::KeyRing::open({.secret_file = path}, metrics);
  std::filesystem::remove(path);
  return keys ? std::move(*keys) : nullptr;
}

TEST(IntakeAllocation, that_fails_while_keys_are_got_ready_is_tried_again) {
  telemetry::Registry metrics;
  const auto keys = ring_of_secret(metrics);
  ASSERT_NE(keys, nullptr);
  auth::Authenticator authenticator({}, *keys, metrics);
  const std::string header =
      "Bearer " +
      *auth::Signer::of_secret(std::string(40, 's')).sign(R"({"sub":"a","exp":1772356530})");
  exhausted = true;
  bool thrown = false;
  try {
    (void)authenticator.authenticate(header, now_ns);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  exhausted = false;
  EXPECT_TRUE(thrown);
  EXPECT_TRUE(authenticator.authenticate(header, now_ns));
}

TEST(IntakeAllocation, is_none_for_a_token_that_is_known) {
  telemetry::Registry metrics;
  const auto keys = ring_of_secret(metrics);
  ASSERT_NE(keys, nullptr);
  auth::Authenticator authenticator({}, *keys, metrics);
  std::string header =
      "Bearer " + *auth::Signer::of_secret(std::string(40, 's'))
                       .sign(R"({"sub":"a gateway with a long name","exp":1772356530,)"
                             R"("studies":["T-1"],"scope":"reports:write"})");
  std::size_t during = 0;
  for (int i = 0; i < 3; ++i) {
    std::size_t before = allocations.load();
    auto who = authenticator.authenticate(header, now_ns);
    during = allocations.load() - before;
    ASSERT_TRUE(who);
    EXPECT_EQ(auth::foreign(**who, {"P-1", "T-1", ""}), auth::Foreign::none);
  }
  EXPECT_EQ(during, 0u);
}

TEST(IntakeAllocation, would_be_seen) {
  std::size_t before = allocations.load();
  ::operator delete(::operator new(1));  // a new-expression could be left out by the compiler
  EXPECT_EQ(allocations.load() - before, 1u);
}

}  // namespace
}  // namespace trialwire::epro
#endif
