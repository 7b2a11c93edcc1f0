// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include <gmock/gmock.h>
#include <boost/json.hpp>

#include "admin.hpp"
#include "data_directory.hpp"
#include "held_address.hpp"
#include "journal_cat.hpp"
#include "open_files.hpp"
#include "process_metrics.hpp"
#include "sink_progress.hpp"

namespace trialwire {
namespace {

using std::filesystem::path;
using testing::EndsWith;
using testing::HasSubstr;

TEST(SinkProgressTest, ASinkThatHasNotAnsweredIsNotOkAfterAShortPatience) {
  SinkProgress::Time start{};
  SinkProgress progress(start);
  auto check = progress.check(0, 1, start);
  EXPECT_TRUE(check.ok);
  check = progress.check(0, 1, start + SinkProgress::answer_patience);
  EXPECT_FALSE(check.ok);
  EXPECT_FALSE(check.required);
  EXPECT_EQ(check.detail, "it has not answered yet");
  EXPECT_TRUE(progress.check(1, 1, start + SinkProgress::answer_patience).ok);
}

TEST(SinkProgressTest, OneThatFailsWhileNothingWaitsIsNotOk) {
  SinkProgress::Time start{};
  SinkProgress progress(start);
  EXPECT_TRUE(progress.check(5, 5, start).ok);
  auto check = progress.check(5, 5, start + std::chrono::seconds(1), "no connection");
  EXPECT_TRUE(check.ok);
  EXPECT_EQ(check.detail, "lag 0: no connection");
  auto later = start + SinkProgress::move_patience;
  EXPECT_FALSE(progress.check(5, 5, later, "no connection").ok);
  check = progress.check(5, 5, later);
  EXPECT_TRUE(check.ok);
  EXPECT_EQ(check.detail, "lag 0");
}

TEST(SinkProgressTest, OneThatStopsAnsweringOrMovingIsNotOk) {
  SinkProgress::Time start{};
  SinkProgress progress(start);
  EXPECT_TRUE(progress.check(5, 9, start).ok);
  auto later = start + SinkProgress::move_patience;
  EXPECT_TRUE(progress.check(5, 9, later - std::chrono::seconds(1)).ok);
  auto check = progress.check(5, 9, later);
  EXPECT_FALSE(check.ok);
  EXPECT_EQ(check.detail, "lag 4");
  EXPECT_TRUE(progress.check(9, 9, later).ok);
  EXPECT_TRUE(progress.check(9, 9, later + std::chrono::hours(1)).ok);
  EXPECT_TRUE(progress.check(0, 9, later + std::chrono::hours(1)).ok);
  EXPECT_FALSE(progress.check(0, 9, later + std::chrono::hours(2)).ok);
}

class DataDirectoryTest : public testing::Test {
 protected:
  path root_ = path(testing::TempDir()) / ("app_test." + std::to_string(::getpid()));

  DataDirectoryTest() { std::filesystem::create_directories(root_); }
  ~DataDirectoryTest() override { std::filesystem::remove_all(root_); }
};

TEST_F(DataDirectoryTest, IsMadeForItsOwnerAlone) {
  auto directory = DataDirectory::open(root_ / "a/b");
  ASSERT_TRUE(directory);
  struct stat status{};
  ASSERT_EQ(::stat((root_ / "a/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  EXPECT_FALSE(directory->open_to_others());
  EXPECT_EQ(directory->journal(), root_ / "a/b/journal");
}

TEST_F(DataDirectoryTest, IsHeldByOneAtATime) {
  auto first = DataDirectory::open(root_);
  ASSERT_TRUE(first);
  ASSERT_TRUE(first->publish({.http = "127.0.0.1:1", .admin = ""}));
  auto second = DataDirectory::open(root_);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().text, EndsWith("is in use by another trialwire (process " +
                                            std::to_string(::getpid()) + ")"));
  {
    DataDirectory gone = std::move(*first);
  }
  EXPECT_TRUE(DataDirectory::open(root_));
}

TEST_F(DataDirectoryTest, PublishesWhileItIsHeld) {
  path file = root_ / "run/ports.json";
  {
    auto directory = DataDirectory::open(root_);
    ASSERT_TRUE(directory);
    ASSERT_TRUE(directory->publish({.http = "127.0.0.1:8080", .admin = "[::1]:6060"}));
    std::string text;
    std::getline(std::ifstream(file), text);
    auto page = boost::json::parse(text).as_object();
    EXPECT_EQ(page["pid"], ::getpid());
    EXPECT_EQ(page["http"], "127.0.0.1:8080");
    EXPECT_EQ(page["admin"], "[::1]:6060");
  }
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_F(DataDirectoryTest, SaysWhyItCannotBeUsed) {
  std::ofstream(root_ / "file") << "mine";
  EXPECT_THAT(DataDirectory::open(root_ / "file").error().text, HasSubstr("cannot be opened"));
  EXPECT_THAT(DataDirectory::open(root_ / "file/below").error().text, HasSubstr("cannot create"));
}

TEST(HeldAddress, RefusesWhatIsTakenAndGivesBackWhatItHeld) {
  EXPECT_TRUE(HeldAddress::hold("http.listen", ""));
  EXPECT_TRUE(HeldAddress::hold("http.listen", "127.0.0.1:0"));
  EXPECT_TRUE(HeldAddress::hold("http.listen", "[::1]:0"));
  EXPECT_THAT(HeldAddress::hold("http.listen", "192.0.2.1:80").error().text,
              testing::StartsWith("http.listen 192.0.2.1:80: "));
}

TEST(ReadinessPage, IsReadyUnlessARequiredCheckFails) {
  auto page = readiness_page({{"journal", true, true, ""}, {"sink", false, false, "lag 12"}});
  EXPECT_TRUE(page.ready);
  EXPECT_EQ(page.text, "journal ok\nsink degraded: lag 12\n");
  page = readiness_page({{"process", false, true, "draining"}});
  EXPECT_FALSE(page.ready);
  EXPECT_EQ(page.text, "process failed: draining\n");
}

TEST(ProcessMetrics, SayWhatTheSystemSays) {
  telemetry::Registry metrics;
  add_process_metrics(metrics);
  std::string text = metrics.text();
  for (std::string_view name :
       {"process_resident_memory_bytes ", "process_cpu_seconds_total ", "process_open_fds ",
        "process_start_time_seconds ", "trialwire_build_info{"}) {
    EXPECT_THAT(text, HasSubstr(name));
  }
  EXPECT_GT(disk_room("/").total_bytes, 0U);
  EXPECT_EQ(disk_room("/nowhere").free_percent(), 100);
}

journal::Record record(std::string_view bytes) {
  journal::Record made;
  made.sequence = 812;
  made.epoch = 3;
  made.attributes.received_ns = 1'772'349'330'250'000'000;
  made.attributes.origin = "http 127.0.0.1:5123";
  made.bytes = as_bytes(bytes);
  return made;
}

boost::json::object line(const journal::Record& from, bool bodies) {
  std::string text;
  append_record_line(text, Uuid{}, from, bodies);
  EXPECT_TRUE(text.ends_with("}\n"));
  return boost::json::parse(text).as_object();
}

TEST(RecordLine, HoldsMetadataAndBytesOnlyWhenAsked) {
  auto page = line(record("{\"patientId\":\"P-1\"}"), false);
  EXPECT_EQ(page["sequence"], 812);
  EXPECT_EQ(page["epoch"], 3);
  EXPECT_EQ(page["kind"], "epro_report");
  EXPECT_EQ(page["receivedAt"], "2026-03-01T07:15:30.250Z");
  EXPECT_EQ(page["origin"], "http 127.0.0.1:5123");
  EXPECT_EQ(page["bytes"], 19);
  EXPECT_FALSE(page.contains("body"));
  EXPECT_FALSE(page.contains("submission"));
  EXPECT_EQ(line(record("{\"patientId\":\"P-1\"}"), true)["body"], "{\"patientId\":\"P-1\"}");
}

TEST(RecordLine, WritesBytesThatAreNoTextInBase64) {
  EXPECT_EQ(line(record("\xff\xfe"), true)["bodyBase64"], "//4=");
}

TEST(RecordLine, NamesTheSubmissionOfAnArray) {
  auto made = record("{}");
  made.attributes.submission_index = 1;
  made.attributes.submission_count = 2;
  auto page = line(made, false);
  EXPECT_EQ(page["submission"].as_object()["index"], 1);
  EXPECT_EQ(page["submission"].as_object()["count"], 2);
}

TEST(OpenFiles, ConnectionsLeaveRoomForFiles) {
  EXPECT_EQ(connections_within(1'048'576, 100'000), 100'000U);
  EXPECT_EQ(connections_within(101'024, 100'000), 100'000U);
  EXPECT_EQ(connections_within(101'023, 100'000), 99'999U);
  EXPECT_EQ(connections_within(4'096, 100'000), 3'072U);
  EXPECT_EQ(connections_within(1'024, 100'000), 512U);
  EXPECT_EQ(connections_within(1'024, 100), 100U);
  EXPECT_EQ(connections_within(1, 100), 1U);
}

TEST(OpenFiles, TheSoftLimitIsRaisedToTheHardOne) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit lower{.rlim_cur = 64, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &lower), 0);
  EXPECT_EQ(open_files_max(), 64U);
  EXPECT_EQ(raise_open_files(), before.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace trialwire
