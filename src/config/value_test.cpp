// SPDX-License-Identifier: Apache-2.0
#include "config/value.hpp"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include "config/address.hpp"

namespace trialwire::config {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

Constraint of(Kind kind) {
  return {.kind = kind};
}

std::uint64_t bytes_of(std::string_view text) {
  return std::get<std::uint64_t>(parse_value(of(Kind::bytes), text).value());
}

nanoseconds time_of(std::string_view text) {
  return std::get<nanoseconds>(parse_value(of(Kind::duration), text).value());
}

TEST(Bytes, TakeBinaryAndDecimalUnits) {
  EXPECT_EQ(bytes_of("128MiB"), 128U << 20);
  EXPECT_EQ(bytes_of("1.5 KiB"), 1536U);
  EXPECT_EQ(bytes_of("2GB"), 2'000'000'000U);
  EXPECT_EQ(bytes_of("64kB"), 64'000U);
  EXPECT_EQ(bytes_of("512B"), 512U);
  EXPECT_EQ(bytes_of("0"), 0U);
}

TEST(Bytes, WantAUnitAndNothingElse) {
  for (std::string_view text : {"128", "", "MiB", "-1MiB", "1MiBs", "1mib", "1e3KiB", "inf KiB",
                                "9999999999TiB", "0x10B", "1 2KiB", "nan"}) {
    EXPECT_FALSE(parse_value(of(Kind::bytes), text)) << text;
  }
}

TEST(Duration, TakesItsUnits) {
  EXPECT_EQ(time_of("500us"), 500us);
  EXPECT_EQ(time_of("5.5s"), 5500ms);
  EXPECT_EQ(time_of("10min"), 10min);
  EXPECT_EQ(time_of("24h"), 24h);
  EXPECT_EQ(time_of("7d"), 7 * 24h);
  EXPECT_EQ(time_of("25y"), 25 * 365 * 24h);
  EXPECT_FALSE(parse_value(of(Kind::duration), "5"));
  EXPECT_FALSE(parse_value(of(Kind::duration), "5m"));
  EXPECT_FALSE(parse_value(of(Kind::duration), "400y"));
}

TEST(Duration, OutOfRangeNamesTheRange) {
  Constraint constraint{.kind = Kind::duration, .minimum = 1'000'000, .maximum = 3'600'000'000'000};
  auto value = parse_value(constraint, "2h");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error(),
            "must be a duration such as 500us, 50ms, 5.5s, 10min, 24h, 7d or 1y, 1ms to 1h");
}

RC_GTEST_PROP(Scaled, IsReadBackAsItWasWritten, ()) {
  auto number = *rc::gen::inRange<std::uint64_t>(0, 1ULL << 53);
  RC_ASSERT(bytes_of(format_value(Kind::bytes, Value(number))) == number);
  RC_ASSERT(time_of(format_value(Kind::duration, Value(nanoseconds(number)))) ==
            nanoseconds(number));
}

TEST(Scaled, IsWrittenInTheLargestUnitThatDivides) {
  EXPECT_EQ(format_value(Kind::bytes, Value(std::uint64_t{128} << 20)), "128MiB");
  EXPECT_EQ(format_value(Kind::bytes, Value(std::uint64_t{1000})), "1000B");
  EXPECT_EQ(format_value(Kind::duration, Value(nanoseconds(24h))), "24h");
  EXPECT_EQ(format_value(Kind::duration, Value(nanoseconds(48h))), "2d");
  EXPECT_EQ(format_value(Kind::duration, Value(nanoseconds(5500ms))), "5500ms");
}

TEST(Integer, IsWholeAndInRange) {
  Constraint constraint{.kind = Kind::integer, .minimum = 1, .maximum = 256};
  EXPECT_EQ(std::get<std::uint64_t>(parse_value(constraint, "256").value()), 256U);
  for (std::string_view text :
       {"0", "257", "4.0", "+4", "-1", "0x4", "", "4 ", "99999999999999999999"}) {
    EXPECT_FALSE(parse_value(constraint, text)) << text;
  }
}

TEST(Percent, WantsItsSign) {
  Constraint constraint{.kind = Kind::percent, .minimum = 0, .maximum = 100};
  EXPECT_EQ(std::get<double>(parse_value(constraint, "2.5%").value()), 2.5);
  for (std::string_view text : {"90", "101%", "-1%", "%", "9%%"}) {
    EXPECT_FALSE(parse_value(constraint, text)) << text;
  }
}

TEST(Boolean, IsTrueOrFalse) {
  EXPECT_TRUE(std::get<bool>(parse_value(of(Kind::boolean), "true").value()));
  EXPECT_EQ(parse_value(of(Kind::boolean), "yes").error(), "must be true or false");
}

TEST(ChoiceList, HoldsEachOnce) {
  static constexpr std::array<std::string_view, 2> names{"a", "b"};
  Constraint constraint{.kind = Kind::choice_list, .choices = names};
  EXPECT_TRUE(parse_list(constraint, {"b", "a"}));
  EXPECT_FALSE(parse_list(constraint, {}));
  EXPECT_FALSE(parse_list(constraint, {"a", "a"}));
  EXPECT_EQ(parse_list(constraint, {"c"}).error(), "must be a list, each once, of a, b");
}

TEST(Text, StaysOnOneLine) {
  EXPECT_TRUE(parse_value(of(Kind::text), "ü"));
  EXPECT_FALSE(parse_value(of(Kind::text), "a\nb"));
  EXPECT_FALSE(parse_value(of(Kind::text), std::string(5000, 'x')));
  EXPECT_EQ(format_value(Kind::text, Value(std::string("a\"b\\c"))), R"("a\"b\\c")");
}

TEST(ListenAddress, IsAnAddressAndAPort) {
  EXPECT_TRUE(parse_listen_address("127.0.0.1:8080")->loopback);
  EXPECT_TRUE(parse_listen_address("127.5.0.1:0")->loopback);
  EXPECT_TRUE(parse_listen_address("[::1]:65535")->loopback);
  EXPECT_FALSE(parse_listen_address("0.0.0.0:80")->loopback);
  EXPECT_FALSE(parse_listen_address("[::]:80")->loopback);
  EXPECT_EQ(parse_listen_address("[::1]:65535")->port, 65535);
  for (std::string_view text :
       {"8080", ":8080", "localhost:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
        "127.0.0.1:-1", "::1:80", "[::1]80", "[127.0.0.1]:80", "127.0.0.1:80 "}) {
    EXPECT_FALSE(parse_listen_address(text)) << text;
  }
}

TEST(MaskUrl, HidesPasswords) {
  EXPECT_EQ(mask_url("postgres://user:p@ss@host:5432/db"), "postgres://user:***@host:5432/db");
  EXPECT_EQ(mask_url("postgres://user@host/db?password=x&sslmode=on&api_Token=y"),
            "postgres://user@host/db?password=***&sslmode=on&api_Token=***");
  EXPECT_EQ(mask_url("mysql://u:p@[::1]:3306/d"), "mysql://u:***@[::1]:3306/d");
  EXPECT_EQ(mask_url("sqlite:data/trialwire.db"), "sqlite:data/trialwire.db");
  EXPECT_EQ(mask_url("http://host/a@b:c"), "http://host/a@b:c");
}

}  // namespace
}  // namespace trialwire::config
