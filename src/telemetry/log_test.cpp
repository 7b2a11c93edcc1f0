// SPDX-License-Identifier: Apache-2.0
#include "telemetry/log.hpp"

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>

namespace trialwire::telemetry {
namespace {

constexpr std::int64_t when = 1'772'349'330'250'000'000;  // 2026-03-01T07:15:30.250Z

std::string json(std::string_view message, std::initializer_list<LogField> fields = {}) {
  return format_log_line({.json = true}, when, LogLevel::warn, "net", message, fields);
}

std::string plain(std::string_view message, std::initializer_list<LogField> fields = {}) {
  return format_log_line({}, when, LogLevel::warn, "net", message, fields);
}

TEST(LogLine, IsOneJsonObject) {
  EXPECT_EQ(
      json("segment sealed", {{"segment", 12}, {"ok", true}, {"ratio", 0.5}, {"io", "direct"}}),
      R"({"time":"2026-03-01T07:15:30.250Z","level":"warn","module":"net",)"
      R"("message":"segment sealed","segment":12,"ok":true,"ratio":0.5,"io":"direct"})");
}

TEST(LogLine, IsReadablePlain) {
  EXPECT_EQ(plain("segment sealed", {{"segment", std::uint32_t{12}}, {"why", "two words"}}),
            "2026-03-01T07:15:30.250Z warn  net: segment sealed segment=12 why=\"two words\"");
}

TEST(LogLine, StaysOneLineWhateverAValueHolds) {
  EXPECT_EQ(plain("a\nb", {{"k", "x\r\n2026 error net: forged"}}),
            "2026-03-01T07:15:30.250Z warn  net: a\\u000ab "
            "k=\"x\\u000d\\u000a2026 error net: forged\"");
}

TEST(LogLine, EscapesJsonAndReplacesBrokenUtf8) {
  EXPECT_THAT(json("\"\\\x01\x7f ü"), testing::HasSubstr(R"("message":"\"\\\u0001\u007f ü")"));
  EXPECT_THAT(json("a\xff\xc0\xaf\xed\xa0\x80z"),
              testing::HasSubstr("\"a\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDz\""));
  EXPECT_THAT(json("cut \xe2\x82"), testing::HasSubstr("\"cut \uFFFD\uFFFD\""));
}

TEST(LogLine, WritesNumbersThatJsonCannotHoldAsNull) {
  EXPECT_THAT(json("m", {{"n", std::numeric_limits<double>::infinity()}}),
              testing::HasSubstr("\"n\":null"));
  EXPECT_THAT(json("m", {{"n", std::numeric_limits<std::uint64_t>::max()}}),
              testing::HasSubstr("\"n\":18446744073709551615"));
}

TEST(LogLine, CutsLongValues) {
  std::string line = json("m", {{"k", std::string(100'000, 'x')}});
  EXPECT_LT(line.size(), log_value_bytes_max + 200);
  EXPECT_THAT(line, testing::HasSubstr("xxx…\"}"));
}

class LogFile : public testing::Test {
 protected:
  std::string path_ = testing::TempDir() + "log_test." + std::to_string(::getpid());
  ~LogFile() override {
    EXPECT_TRUE(configure_log({}));
    std::filesystem::remove(path_);
  }
  std::string content() {
    flush_log();
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }
};

TEST_F(LogFile, TakesTheLinesOfEnabledLevels) {
  ASSERT_TRUE(configure_log({.level = LogLevel::warn, .json = true, .file = path_}));
  log(LogLevel::info, "net", "not wanted");
  log(LogLevel::error, "net", "braces {} stay");
  EXPECT_THAT(content(), testing::HasSubstr("braces {} stay"));
  EXPECT_THAT(content(), testing::Not(testing::HasSubstr("not wanted")));
}

TEST_F(LogFile, IsItsOwnersAlone) {
  mode_t before = ::umask(0);
  EXPECT_TRUE(configure_log({.file = path_}));
  ::umask(before);
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(path_).permissions(), perms::owner_read | perms::owner_write);
}

TEST_F(LogFile, MakesNoDirectoryAndLeavesTheLogAsItWasWhenItCannotBeOpened) {
  ASSERT_TRUE(configure_log({.level = LogLevel::warn, .file = path_}));
  auto missing = configure_log({.file = path_ + ".d/below/log"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().text,
            "log.file " + path_ + ".d/below/log: there is no directory " + path_ + ".d/below");
  EXPECT_FALSE(std::filesystem::exists(path_ + ".d"));
  auto directory = configure_log({.file = testing::TempDir()});
  ASSERT_FALSE(directory);
  EXPECT_THAT(directory.error().text, testing::HasSubstr("cannot be opened"));
  log(LogLevel::warn, "net", "still here");
  EXPECT_THAT(content(), testing::HasSubstr("still here"));
}

TEST_F(LogFile, HasLevelsByModule) {
  ASSERT_TRUE(configure_log({.level = LogLevel::warn, .file = path_}));
  set_log_level("journal", LogLevel::debug);
  EXPECT_TRUE(log_enabled(LogLevel::debug, "journal"));
  EXPECT_FALSE(log_enabled(LogLevel::debug, "net"));
  EXPECT_FALSE(log_enabled(LogLevel::trace, "journal"));
  set_log_level("", LogLevel::off);
  EXPECT_FALSE(log_enabled(LogLevel::error, "journal"));
}

TEST(Log, NeverThrowsWhenTheDiskIsFull) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP();
  ASSERT_TRUE(configure_log({.file = "/dev/full"}));
  for (int i = 0; i < 100; ++i) log(LogLevel::error, "net", std::string(1000, 'x'));
  flush_log();
  EXPECT_TRUE(configure_log({}));
}

}  // namespace
}  // namespace trialwire::telemetry
