// SPDX-License-Identifier: Apache-2.0
// What the text cases of tests/conformance/validation cannot say: what reaches the journal, what
// happens between append and commit, and what is counted.
#include "epro/report_intake.hpp"

#include <gtest/gtest.h>

#include <string>

#include "epro/report.hpp"
#include "support/fake_appender.hpp"
#include "support/fake_exchange.hpp"
#include "support/gzip.hpp"

namespace trialwire::epro {
namespace {

using testing::FakeAppender;
using testing::FakeExchange;
using testing::FakeRequest;

constexpr std::int64_t now_ns = 1'772'352'930'000'000'000;  // 2026-03-01T08:15:30Z

std::string report(std::string_view more = "", std::string_view patient = "P-1") {
  return fmt::format(R"({{"patientId":"{}","trialId":"T-1","timestamp":"2026-03-01T08:15:30Z",)"
                     R"("qolScore":7{}}})",
                     patient, more);
}

struct Gateway {
  explicit Gateway(ReportIntakeOptions options = {}) : intake(options, appenders, registry) {}

  void send(const FakeRequest& request, std::size_t path = 0) {
    exchange.begin(request);
    exchange.run([&](net::Exchange& one) { intake.intake(0, path).handle(one, now_ns); });
  }
  /// Sends, commits if there is something to, and gives the answer's status.
  int status(const FakeRequest& request, std::size_t path = 0) {
    send(request, path);
    if (appender.waiting()) appender.commit();
    return exchange.response().status;
  }

  FakeAppender appender;
  journal::Appender* appenders[1] = {&appender};
  telemetry::Registry registry;
  ReportIntake intake;
  FakeExchange exchange{auth::Principal{.name = "alice"}, {"http 10.0.0.7:5123"}};
};

FakeRequest ndjson(std::string body) {
  return {"", {{"Content-Type", "application/x-ndjson"}}, std::move(body)};
}

TEST(ReportIntake, stores_the_senders_bytes_with_what_is_known_of_them) {
  Gateway gateway;
  constexpr std::string_view trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  std::string body = report(R"(, "unknown" : [ 1.0 ])");
  ASSERT_EQ(gateway.status({"", {{"traceparent", std::string(trace)}}, " \n" + body + "\r\n"}),
            200);
  ASSERT_EQ(gateway.appender.stored.size(), 1u);
  const testing::StoredRecord& stored = gateway.appender.stored[0];
  EXPECT_EQ(stored.bytes, body) << "trimmed, otherwise untouched";
  EXPECT_EQ(stored.attributes.kind, journal::RecordKind::epro_report);
  EXPECT_EQ(stored.attributes.content_type, journal::ContentType::json);
  EXPECT_EQ(stored.attributes.received_ns, now_ns);
  EXPECT_EQ(stored.attributes.flags, 0);
  EXPECT_EQ(stored.attributes.key_hash, key_hash("P-1"));
  EXPECT_EQ(stored.attributes.submission, Uuid{});
  EXPECT_EQ(stored.principal, "alice");
  EXPECT_EQ(stored.origin, "http 10.0.0.7:5123");
  EXPECT_EQ(stored.traceparent, trace);
}

TEST(ReportIntake, answers_only_after_the_commit) {
  Gateway gateway;
  gateway.send({"", {}, report()});
  EXPECT_TRUE(gateway.appender.waiting());
  EXPECT_TRUE(gateway.exchange.deferred());
  gateway.appender.commit();
  EXPECT_EQ(gateway.exchange.response().status, 200);
}

TEST(ReportIntake, says_when_a_receipt_is_not_durable) {
  Gateway gateway;
  gateway.appender.synced = false;
  ASSERT_EQ(gateway.status({"", {}, report()}), 200);
  EXPECT_NE(gateway.exchange.response().body.find(R"("sequence":812,"durable":false}})"),
            std::string::npos)
      << gateway.exchange.response().body;
}

TEST(ReportIntake, answers_503_with_retry_after_when_the_journal_takes_nothing) {
  for (ErrorCode code : {ErrorCode::disk_full, ErrorCode::unavailable, ErrorCode::overloaded}) {
    Gateway gateway;
    gateway.appender.admission_error = Error{code, "not now"};
    EXPECT_EQ(gateway.status({"", {}, report()}), 503);
    EXPECT_EQ(gateway.exchange.response().header("Retry-After"), "1");
    EXPECT_EQ(gateway.appender.added, 0u);

    gateway.appender.admission_error.reset();
    gateway.appender.refuse_commits = code;
    EXPECT_EQ(gateway.status({"", {}, report()}), 503);
    EXPECT_EQ(gateway.status(ndjson(report() + "\nbad")), 503);
    EXPECT_TRUE(gateway.appender.stored.empty());
  }
}

TEST(ReportIntake, answers_413_when_the_records_of_one_request_do_not_fit_into_a_segment) {
  Gateway gateway;
  gateway.appender.group_fits = false;
  EXPECT_EQ(gateway.status(ndjson(report() + "\n" + report())), 413);
  EXPECT_NE(gateway.exchange.response().body.find("send fewer at once"), std::string::npos);
  EXPECT_EQ(gateway.appender.cancelled, 1u);
  EXPECT_TRUE(gateway.appender.stored.empty());
  gateway.appender.group_fits = true;
  EXPECT_EQ(gateway.status({"", {}, report()}), 200);
}

TEST(ReportIntake, takes_an_abandoned_request_back_while_that_is_possible) {
  Gateway gateway;
  gateway.send({"", {}, report()});
  EXPECT_TRUE(gateway.exchange.answer().abandon());
  EXPECT_EQ(gateway.appender.withdrawn, 1u);
  EXPECT_FALSE(gateway.appender.waiting());

  gateway.send({"", {}, report()});
  gateway.appender.commit();
  EXPECT_FALSE(gateway.exchange.answer().abandon()) << "it is stored";
  EXPECT_EQ(gateway.appender.withdrawn, 1u);
}

TEST(ReportIntake, drops_the_group_when_the_journal_throws) {
  struct Throwing final : journal::Appender {
    Result<void> admit(std::size_t) noexcept override { return {}; }
    void begin(journal::GroupMode) noexcept override { open = true; }
    void add(const journal::Record&) override { throw std::bad_alloc(); }
    bool fits() const noexcept override { return true; }
    void cancel() noexcept override { open = false; }
    std::uint64_t end(journal::Waiter&) override { return 0; }
    bool withdraw(std::uint64_t) noexcept override { return false; }
    void flush() override {}
    std::size_t pending_bytes() const noexcept override { return 0; }
    SipKey identity_key() const noexcept override { return {}; }
    bool open = false;
  } appender;
  journal::Appender* appenders[] = {&appender};
  telemetry::Registry registry;
  ReportIntake intake({}, appenders, registry);
  FakeExchange exchange;
  exchange.begin({"", {}, report()});
  EXPECT_THROW(exchange.run([&](net::Exchange& one) { intake.intake(0, 0).handle(one, now_ns); }),
               std::bad_alloc);
  EXPECT_FALSE(appender.open);
}

TEST(ReportIntake, makes_one_submission_of_an_array) {
  Gateway gateway;
  std::string first = report(R"(,"reportId":"A")"), second = report(R"(,"reportId":"B")", "P-2");
  ASSERT_EQ(gateway.status({"", {}, "[ " + first + " ,\n" + second + " ]"}), 200);
  const auto& stored = gateway.appender.stored;
  ASSERT_EQ(stored.size(), 2u);
  EXPECT_EQ(stored[0].bytes, first);
  EXPECT_EQ(stored[1].bytes, second);
  EXPECT_NE(stored[0].attributes.submission, Uuid{});
  EXPECT_EQ(stored[0].attributes.submission, stored[1].attributes.submission);
  EXPECT_EQ(stored[1].attributes.submission_index, 1u);
  EXPECT_EQ(stored[1].attributes.submission_count, 2u);
}

TEST(ReportIntake, stores_the_slices_of_lines_and_of_gzip) {
  Gateway gateway;
  std::string first = report(R"(,"reportId":"A")"), second = report(R"(,"reportId":"B")");
  ASSERT_EQ(gateway.status(ndjson("  " + first + "\t\r\n\n" + second)), 200);
  ASSERT_EQ(gateway.appender.stored.size(), 2u);
  EXPECT_EQ(gateway.appender.stored[0].bytes, first);
  EXPECT_EQ(gateway.appender.stored[1].bytes, second);
  EXPECT_EQ(gateway.appender.stored[1].attributes.submission, Uuid{});

  std::string third = report(R"(,"reportId":"C")");
  ASSERT_EQ(gateway.status({"", {{"Content-Encoding", "gzip"}}, testing::gzip(third)}), 200);
  EXPECT_EQ(gateway.appender.stored[2].bytes, third);
}

TEST(ReportIntake, keeps_an_older_clients_bytes_and_flags_the_missing_trial) {
  Gateway gateway;
  std::string body = R"({"report_id":"R-1","patient_id":"P-1","data":"tired"})";
  ASSERT_EQ(gateway.status({"/submit", {}, body}, 3), 200);
  const testing::StoredRecord& stored = gateway.appender.stored.at(0);
  EXPECT_EQ(stored.bytes, body);
  EXPECT_EQ(stored.attributes.content_type, journal::ContentType::json_legacy);
  EXPECT_EQ(stored.attributes.flags, unattributed);
}

TEST(ReportIntake, hands_nothing_to_the_journal_when_one_element_is_wrong) {
  Gateway gateway;
  std::string good = report(), bad = report(R"(,"siteId":1)");
  EXPECT_EQ(gateway.status({"", {}, "[" + good + "," + bad + "]"}), 400);
  EXPECT_EQ(gateway.status({"", {}, "[" + good + "," + good}), 400);
  EXPECT_EQ(gateway.appender.added, 0u);
}

TEST(ReportIntake, counts_records_rules_and_bytes) {
  Gateway gateway;
  gateway.status({"", {}, report(R"(,"x":1,"y":2)")});
  gateway.status({"", {}, report(R"(,"x":1,"y":2)")});
  gateway.status({"", {}, report(R"(,"reportId":"A")")});
  gateway.status({"", {}, report(R"(,"reportId":"A","siteId":"S")")});
  gateway.status({"", {}, R"({"patientId":1})"});
  gateway.status({"", {}, report(R"(,"timestampx":1)", "P-9")});
  gateway.status({"", {{"Content-Type", "text/plain"}}, "x"});
  std::string text = gateway.registry.text();
  auto expect = [&](std::string_view line) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  };
  expect(R"(trialwire_ingest_records_total{kind="epro_report",outcome="accepted"} 3)");
  expect(R"(trialwire_ingest_records_total{kind="epro_report",outcome="duplicate"} 1)");
  expect(R"(trialwire_ingest_records_total{kind="epro_report",outcome="conflict"} 1)");
  expect(R"(trialwire_ingest_records_total{kind="epro_report",outcome="invalid"} 1)");
  expect(R"(trialwire_ingest_field_errors_total{kind="epro_report",rule="required"} 3)");
  expect(R"(trialwire_ingest_field_errors_total{kind="epro_report",rule="type"} 1)");
  expect(R"(trialwire_ingest_unknown_fields_total{kind="epro_report"} 5)");
  expect(R"(code="unsupported_media_type",kind="epro_report")");
  expect(R"(trialwire_ingest_limit{limit="records_max"} 10000)");
  EXPECT_EQ(text.find(R"(rule="conflict")"), std::string::npos) << "it would never count";
}

}  // namespace
}  // namespace trialwire::epro
