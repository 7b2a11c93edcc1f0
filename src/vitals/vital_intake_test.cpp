// SPDX-License-Identifier: Apache-2.0
// What is stored of a vital sign; what is answered is in tests/conformance/validation.
#include "vitals/vital_intake.hpp"

#include <gtest/gtest.h>

#include <string>

#include "support/fake_appender.hpp"
#include "support/fake_exchange.hpp"

namespace trialwire::vitals {
namespace {

constexpr std::int64_t now_ns = 1'772'366'400'000'000'000;

class VitalIntakeTest : public ::testing::Test {
 protected:
  const testing::StoredRecord& store(const std::string& body) {
    testing::FakeExchange exchange;
    exchange.begin({"/v1/vitals", {}, body});
    exchange.run([&](net::Exchange& one) { intake_->intake(0, 0).handle(one, now_ns); });
    if (appender_.waiting()) appender_.commit();
    EXPECT_EQ(exchange.response().status, 200) << exchange.response().body;
    return appender_.stored.back();
  }

  testing::FakeAppender appender_;
  journal::Appender* appenders_[1] = {&appender_};
  telemetry::Registry registry_;
  ingest::IntakeShards shards_{{}, appenders_};
  std::unique_ptr<ingest::KindIntake> intake_ = make_intake({}, shards_, registry_);
};

TEST_F(VitalIntakeTest, the_senders_bytes_are_kept_whatever_is_converted) {
  std::string body = R"({ "deviceId":"D-1","timestamp":1772366400,"temperature":98.60,)"
                     R"("units":{"temperature":"F"} })";
  const auto& stored = store(body);
  EXPECT_EQ(stored.bytes, body);
  EXPECT_EQ(stored.attributes.kind, journal::RecordKind::vital_sign);
  EXPECT_EQ(stored.attributes.content_type, journal::ContentType::json);
  EXPECT_EQ(stored.attributes.flags, unattributed | timestamp_unit_assumed);
}

TEST_F(VitalIntakeTest, the_device_keeps_its_records_in_order_whoever_wears_it) {
  auto first = store(R"({"deviceId":"D-1","timestamp":1772366400000,"heartRate":72})");
  auto second =
      store(R"({"deviceId":"D\u002d1","timestamp":1772366401000,"heartRate":72,"patientId":"P"})");
  EXPECT_EQ(first.attributes.key_hash, key_hash("D-1"));
  EXPECT_EQ(second.attributes.key_hash, key_hash("D-1"));
  EXPECT_NE(first.attributes.identity, second.attributes.identity);
}

TEST_F(VitalIntakeTest, device_and_counter_are_told_apart_at_their_border) {
  auto first =
      store(R"({"deviceId":"D-1","timestamp":1772366400000,"heartRate":72,"sequence":23})");
  auto second =
      store(R"({"deviceId":"D-12","timestamp":1772366400000,"heartRate":72,"sequence":3})");
  EXPECT_NE(first.attributes.identity, second.attributes.identity);
}

TEST_F(VitalIntakeTest, a_counter_is_the_same_however_it_is_spelled) {
  auto first = store(R"({"deviceId":"D-1","timestamp":1772366400000,"heartRate":72,"sequence":7})");
  EXPECT_EQ(appender_.stored.size(), 1u);
  testing::FakeExchange exchange;
  exchange.begin({"/v1/vitals",
                  {},
                  R"({"deviceId":"D-1","timestamp":1772366400000,"heartRate":72,"sequence":7.0})"});
  exchange.run([&](net::Exchange& one) { intake_->intake(0, 0).handle(one, now_ns); });
  appender_.commit();
  EXPECT_EQ(exchange.response().status, 409);
}

}  // namespace
}  // namespace trialwire::vitals
