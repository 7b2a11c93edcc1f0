// SPDX-License-Identifier: Apache-2.0
#include "settings_memory.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace trialwire {
namespace {

class SettingsMemoryTest : public testing::Test {
 protected:
  SettingsMemoryTest() {
    std::string name =
        (std::filesystem::temp_directory_path() / "trialwire-memory-XXXXXX").string();
    data_dir_ = ::mkdtemp(name.data());
  }
  ~SettingsMemoryTest() override { std::filesystem::remove_all(data_dir_); }
  std::filesystem::path data_dir_;
};

TEST_F(SettingsMemoryTest, recalls_what_it_kept) {
  SettingsMemory memory(data_dir_);
  auto none = memory.recall();
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  config::Settings settings;
  settings.store.url = "postgres://user:geheim@host/db";
  settings.log.file = "a: strange\nname";
  const ShownSettings shown = shown_settings(settings);
  EXPECT_GT(shown.size(), 100U);
  ASSERT_TRUE(memory.keep(shown));
  auto recalled = memory.recall();
  ASSERT_TRUE(recalled && *recalled);
  EXPECT_EQ(**recalled, shown);
  std::ostringstream text;
  text << std::ifstream(data_dir_ / "audit" / "settings").rdbuf();
  EXPECT_FALSE(text.str().contains("geheim"));
  std::ofstream(data_dir_ / "audit" / "settings", std::ios::trunc) << "nonsense";
  recalled = memory.recall();
  ASSERT_TRUE(recalled);
  EXPECT_FALSE(*recalled) << "is as good as none";
}

TEST_F(SettingsMemoryTest, names_what_is_different_and_nothing_else) {
  EXPECT_EQ(difference({{"a", "1"}}, {{"a", "1"}}).before, "");
  const auto changed = difference({{"a", "1"}, {"b", "2"}, {"gone", "3"}},
                                  {{"a", "1"}, {"b", "\"4\""}, {"new", "5"}});
  EXPECT_EQ(changed.before, R"({"b":"2","gone":"3"})");
  EXPECT_EQ(changed.after, R"({"b":"\"4\"","new":"5"})");
}

}  // namespace
}  // namespace trialwire
