// SPDX-License-Identifier: Apache-2.0
// The faulty disk must itself be right: it loses what it may lose, and nothing else.
#include "support/faulty_files.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace trialwire::support {
namespace {

using journal::OpenMode;

const std::filesystem::path directory = "/disk";
const std::filesystem::path path = "/disk/a";

FileBytes filled(std::size_t size, int value) {
  return FileBytes(size, static_cast<std::byte>(value));
}

std::unique_ptr<FaultyFiles> disk_with_file(FaultyOptions options, std::size_t size) {
  auto disk = std::make_unique<FaultyFiles>(options);
  EXPECT_TRUE(disk->create_directory(directory));
  disk->put(path, filled(size, 0));
  return disk;
}

TEST(FaultyFiles, what_was_synced_survives_a_power_cut) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    auto disk = disk_with_file({.seed = seed, .direct = false}, 8192);
    auto file = disk->open(path, OpenMode::write_existing, false);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(100, filled(5000, 7)));
    ASSERT_TRUE((*file)->sync());
    disk->power_cut();
    EXPECT_FALSE((*file)->write_at(0, filled(10, 1)));
    disk->restart();
    EXPECT_FALSE((*file)->size()) << "a file opened before the cut stays dead";
    const auto bytes = *disk->contents(path);
    EXPECT_EQ(bytes[99], std::byte{0});
    EXPECT_EQ(FileBytes(bytes.begin() + 100, bytes.begin() + 5100), filled(5000, 7));
  }
}

TEST(FaultyFiles, an_unsynced_write_survives_sector_by_sector) {
  std::set<int> survivors;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    auto disk = disk_with_file({.seed = seed, .direct = false}, 8192);
    auto file = disk->open(path, OpenMode::write_existing, false);
    ASSERT_TRUE((*file)->write_at(0, filled(8192, 9)));
    disk->power_cut();
    disk->restart();
    const auto bytes = *disk->contents(path);
    int kept = 0;
    for (std::size_t at = 0; at < bytes.size(); at += 512) {
      for (std::size_t i = 1; i < 512; ++i) ASSERT_EQ(bytes[at], bytes[at + i]);
      kept += bytes[at] == std::byte{9} ? 1 : 0;
    }
    survivors.insert(kept);
  }
  EXPECT_TRUE(survivors.contains(0));
  EXPECT_TRUE(survivors.contains(16));
  EXPECT_GE(survivors.size(), 8U);
}

TEST(FaultyFiles, a_name_that_was_not_synced_may_be_lost_with_its_synced_bytes) {
  for (const auto names : {FaultyOptions::Names::lost, FaultyOptions::Names::kept}) {
    FaultyFiles disk({.seed = 3, .direct = false, .unsynced_names = names});
    ASSERT_TRUE(disk.create_directory(directory));
    auto file = disk.open(path, OpenMode::create_new, false);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(0, filled(512, 1)));
    ASSERT_TRUE((*file)->sync());
    disk.power_cut();
    disk.restart();
    EXPECT_EQ(disk.contents(path).has_value(), names == FaultyOptions::Names::kept);
  }
}

TEST(FaultyFiles, a_renamed_file_has_its_new_name_for_good_once_the_directory_is_synced) {
  auto disk = disk_with_file({.unsynced_names = FaultyOptions::Names::lost}, 512);
  ASSERT_TRUE(disk->rename(path, "/disk/b"));
  ASSERT_TRUE(disk->sync_directory(directory));
  ASSERT_TRUE(disk->rename("/disk/b", "/disk/c"));
  disk->power_cut();
  disk->restart();
  EXPECT_EQ(disk->paths(), std::vector<std::string>{"/disk/b"});
}

TEST(FaultyFiles, after_a_failed_sync_the_next_one_succeeds_and_the_bytes_may_be_gone) {
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    auto disk = disk_with_file({.seed = seed, .direct = false}, 4096);
    auto file = disk->open(path, OpenMode::write_existing, false);
    disk->sync_error_in(1);
    ASSERT_TRUE((*file)->write_at(0, filled(4096, 5)));
    EXPECT_EQ((*file)->sync().error().code, ErrorCode::io);
    EXPECT_TRUE((*file)->sync());
    EXPECT_EQ(disk->contents(path), filled(4096, 5)) << "the page cache still has it";
    disk->power_cut();
    disk->restart();
    lost += disk->contents(path) == filled(4096, 5) ? 0 : 1;
  }
  EXPECT_GT(lost, 10);
}

TEST(FaultyFiles, a_full_disk_refuses_growth_alone_and_takes_it_again_when_there_is_space) {
  auto disk = disk_with_file({.direct = false, .capacity = 6000}, 4096);
  auto file = disk->open(path, OpenMode::write_existing, false);
  EXPECT_TRUE((*file)->write_at(0, filled(4096, 1)));
  EXPECT_EQ((*file)->write_at(4096, filled(4096, 1)).error().code, ErrorCode::disk_full);
  disk->set_capacity(10'000);
  EXPECT_TRUE((*file)->write_at(4096, filled(4096, 1)));
}

TEST(FaultyFiles, the_power_goes_at_the_call_that_was_asked_for) {
  auto disk = disk_with_file({.direct = false}, 4096);
  auto file = disk->open(path, OpenMode::write_existing, false);
  disk->power_cut_in(2);
  EXPECT_TRUE((*file)->write_at(0, filled(512, 1)));
  EXPECT_FALSE((*file)->sync());
  EXPECT_FALSE(disk->powered());
  EXPECT_FALSE(disk->list(directory));
}

TEST(FaultyFiles, a_killed_process_loses_nothing_but_its_open_files) {
  auto disk = disk_with_file({.direct = false}, 512);
  auto file = disk->open(path, OpenMode::write_existing, false);
  ASSERT_TRUE((*file)->write_at(0, filled(512, 8)));
  disk->kill();
  EXPECT_FALSE((*file)->sync());
  disk->restart();
  EXPECT_EQ(disk->contents(path), filled(512, 8));
}

TEST(FaultyFiles, a_direct_file_takes_whole_blocks_only) {
  auto disk = disk_with_file({.direct = true}, 8192);
  auto file = disk->open(path, OpenMode::write_existing, true);
  alignas(4096) static std::byte block[4096];
  EXPECT_TRUE((*file)->write_at(4096, block));
  EXPECT_FALSE((*file)->write_at(512, block));
  EXPECT_FALSE((*file)->write_at(0, ByteView(block, 512)));
  auto refusing = disk_with_file({.direct = false}, 4096);
  EXPECT_FALSE(refusing->open(path, OpenMode::write_existing, true));
}

TEST(FaultyFiles, a_write_through_makes_itself_durable_and_no_write_before_it) {
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    auto disk = disk_with_file({.seed = seed, .direct = true}, 8192);
    auto file = disk->open(path, OpenMode::write_existing, true);
    alignas(4096) static std::byte block[4096];
    std::ranges::fill(block, std::byte{3});
    ASSERT_TRUE((*file)->write_at(0, block));
    ASSERT_TRUE((*file)->write_and_sync(4096, block));
    disk->power_cut();
    disk->restart();
    const auto bytes = *disk->contents(path);
    EXPECT_EQ(FileBytes(bytes.begin() + 4096, bytes.end()), filled(4096, 3));
    lost += bytes[0] == std::byte{0} ? 1 : 0;
  }
  EXPECT_GT(lost, 5);
}

TEST(FaultyFiles, a_directory_is_locked_once_and_free_after_the_holder_died) {
  auto disk = disk_with_file({}, 512);
  auto held = disk->lock("/disk/LOCK");
  ASSERT_TRUE(held);
  EXPECT_EQ(disk->lock("/disk/LOCK").error().code, ErrorCode::unavailable);
  disk->kill();
  disk->restart();
  auto again = disk->lock("/disk/LOCK");
  ASSERT_TRUE(again);
  held->reset();
  EXPECT_FALSE(disk->lock("/disk/LOCK")) << "the dead holder's release is not the new one's";
  again->reset();
  EXPECT_TRUE(disk->lock("/disk/LOCK"));
}

}  // namespace
}  // namespace trialwire::support
