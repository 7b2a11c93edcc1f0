// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <fstream>

#include <gmock/gmock.h>

#include "profile_files.hpp"
#include "profile_routes.hpp"

namespace trialwire {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

class ProfileFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / "trialwire-profiles-XXXXXX";
    std::string name = directory_;
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / "profiles"))
      found.push_back(entry.path().filename());
    std::ranges::sort(found);
    return found;
  }

  std::filesystem::path directory_;
};

constexpr std::int64_t start_ns = 1'772'366'400'123'000'000;  // 2026-03-01T12:00:00.123Z
constexpr std::int64_t second_ns = 1'000'000'000;

TEST_F(ProfileFilesTest, AreTheOwnersAlone) {
  const ProfileFiles files(directory_ / "profiles", 2);
  const auto path = files.write({"cpu", ".prof"}, start_ns, "content");
  ASSERT_TRUE(path) << path.error().text;
  EXPECT_EQ(path->filename(), "cpu-20260301T120000.123Z.prof");
  struct stat about{};
  ASSERT_EQ(::stat(path->c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);
  EXPECT_EQ(about.st_size, 7);
  ASSERT_EQ(::stat((directory_ / "profiles").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700U);
}

TEST_F(ProfileFilesTest, AreFewAndTheNewestOfEachKind) {
  const ProfileFiles files(directory_ / "profiles", 2);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(files.write({"cpu", ".prof"}, start_ns + i * second_ns, "c"));
    ASSERT_TRUE(files.write({"threads", ".txt"}, start_ns + i * second_ns, "t"));
  }
  EXPECT_THAT(names(),
              ElementsAre("cpu-20260301T120002.123Z.prof", "cpu-20260301T120003.123Z.prof",
                          "threads-20260301T120002.123Z.txt", "threads-20260301T120003.123Z.txt"));
  EXPECT_EQ(files.count(), 4U);
}

TEST_F(ProfileFilesTest, OverwriteNothingAndFollowNoLink) {
  const ProfileFiles files(directory_ / "profiles", 2);
  ASSERT_TRUE(files.write({"cpu", ".prof"}, start_ns, "first"));
  EXPECT_FALSE(files.write({"cpu", ".prof"}, start_ns, "second"));
  std::filesystem::create_symlink(directory_ / "elsewhere",
                                  directory_ / "profiles/heap-20260301T120000.123Z.prof");
  EXPECT_FALSE(files.write({"heap", ".prof"}, start_ns, "x"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "elsewhere"));
  const ProfileFiles nowhere(directory_ / "not/there", 2);
  EXPECT_EQ(nowhere.write({"cpu", ".prof"}, start_ns, "x").error().code, ErrorCode::io);
}

TEST(ProfileQueryTest, KnowsSecondsAndFormAndNothingElse) {
  auto parsed = parse_profile_query("", seconds(30), seconds(120));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->time, seconds(30));
  EXPECT_EQ(parsed->form, ProfileForm::gperftools);
  parsed = parse_profile_query("seconds=120&form=proto", seconds(30), seconds(120));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->time, seconds(120));
  EXPECT_EQ(parsed->form, ProfileForm::proto);
  for (const std::string_view wrong :
       {"seconds=0", "seconds=121", "seconds=-1", "seconds=1.5", "seconds=", "seconds",
        "seconds=99999999999", "seconds=5x", "form=svg", "gc=1"}) {
    auto refused = parse_profile_query(wrong, seconds(30), seconds(120));
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument) << wrong;
  }
}

TEST(SymbolLines, NameAddressesAndSkipWhatIsNone) {
  const auto address = reinterpret_cast<std::uintptr_t>(&parse_profile_query);
  const std::string lines = symbol_lines(fmt::format("{:#x}+nonsense++{:x}", address, address));
  const std::string line = fmt::format("{:#x}\ttrialwire::parse_profile_query(", address);
  EXPECT_THAT(lines, testing::StartsWith(line));
  EXPECT_EQ(std::ranges::count(lines, '\n'), 2);
}

}  // namespace
}  // namespace trialwire
