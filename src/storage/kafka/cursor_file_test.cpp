// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/cursor_file.hpp"

#include <gtest/gtest.h>

#include <string>

#include "support/faulty_files.hpp"

namespace trialwire::storage::kafka {
namespace {

using journal::Cursor;

const std::filesystem::path path = "/data/cursors/kafka.0";

class CursorFileTest : public testing::Test {
 protected:
  CursorFileTest() {
    static_cast<void>(files_.create_directory("/data"));
    static_cast<void>(files_.sync_directory("/"));
  }
  std::uint64_t loaded() {
    auto cursor = CursorFile(files_, path).load();
    EXPECT_TRUE(cursor) << cursor.error().text;
    if (!cursor || !*cursor) return 0;
    EXPECT_EQ((*cursor)->journal, journal_);
    return (*cursor)->next_sequence;
  }

  support::FaultyFiles files_{{}};
  Uuid journal_ = Uuid::random();
};

TEST_F(CursorFileTest, is_empty_until_something_is_stored_and_then_holds_the_last) {
  EXPECT_EQ(loaded(), 0U);
  CursorFile file(files_, path);
  ASSERT_TRUE(file.store({journal_, 812}));
  EXPECT_EQ(loaded(), 812U);
  ASSERT_TRUE(file.store({journal_, 813}));
  EXPECT_EQ(loaded(), 813U);
}

TEST_F(CursorFileTest, what_no_cursor_wrote_is_refused_by_name) {
  CursorFile file(files_, path);
  ASSERT_TRUE(file.store({journal_, 812}));
  auto bytes = *files_.contents(path);
  bytes[60] ^= std::byte{1};
  files_.put(path, bytes);
  auto damaged = file.load();
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::corrupt);
  EXPECT_NE(damaged.error().text.find(path.string()), std::string::npos);
  files_.put(path, {});
  EXPECT_FALSE(file.load());
  files_.put(path, support::FileBytes(5'000));
  EXPECT_FALSE(file.load());
}

TEST_F(CursorFileTest, a_power_cut_at_any_step_leaves_the_one_cursor_or_the_other) {
  for (std::uint64_t step = 1; step < 12; ++step) {
    SCOPED_TRACE(step);
    support::FaultyFiles files({.seed = step});
    static_cast<void>(files.create_directory("/data"));
    static_cast<void>(files.sync_directory("/"));
    CursorFile file(files, path);
    ASSERT_TRUE(file.store({journal_, 10}));
    files.power_cut_in(step);
    const bool stored = file.store({journal_, 20}).has_value();
    files.restart();
    auto cursor = CursorFile(files, path).load();
    ASSERT_TRUE(cursor) << cursor.error().text;
    ASSERT_TRUE(*cursor);
    const std::uint64_t next = (*cursor)->next_sequence;
    EXPECT_TRUE(next == 20 || (next == 10 && !stored)) << next;
    CursorFile again(files, path);
    ASSERT_TRUE(again.store({journal_, 30}));
    EXPECT_EQ((*again.load())->next_sequence, 30U);
  }
}

}  // namespace
}  // namespace trialwire::storage::kafka
