// SPDX-License-Identifier: Apache-2.0
#include "line_sink.hpp"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/bytes.hpp"

namespace trialwire::extending {
namespace {

namespace fs = std::filesystem;

class LineSinkTest : public testing::Test {
 protected:
  LineSinkTest() {
    std::string name = (fs::temp_directory_path() / "trialwire-lines-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    file_ = directory_ / "records";
    journal_ = Uuid::random();
    sink_ = make();
  }
  ~LineSinkTest() override { fs::remove_all(directory_); }

  std::unique_ptr<LineSink> make() const {
    return std::make_unique<LineSink>(file_, journal::posix_files());
  }
  journal::Record record(std::uint64_t sequence, std::string_view bytes) const {
    journal::Record record;
    record.journal = journal_;
    record.epoch = 1;
    record.sequence = sequence;
    record.bytes = as_bytes(bytes);
    return record;
  }
  Result<void> deliver(std::vector<journal::Record> records, std::uint64_t next) {
    return sink_->deliver(records, {.journal = journal_, .next_sequence = next});
  }
  std::uint64_t cursor() {
    auto cursor = sink_->durable_cursor(journal_);
    return cursor ? cursor->next_sequence : 0;
  }
  /// Of the part of the file that counts, the bytes of each record.
  std::vector<std::string> lines() const {
    std::ifstream place(fs::path(file_).concat(".cursor"));
    std::string journal;
    std::uint64_t next = 0;
    std::size_t bytes = 0;
    place >> journal >> next >> bytes;
    std::ifstream file(file_);
    std::string text(bytes, '\0');
    file.read(text.data(), static_cast<std::streamsize>(bytes));
    std::vector<std::string> found;
    std::istringstream all(text);
    for (std::string line; std::getline(all, line);) found.push_back(line.substr(37));
    return found;
  }

  fs::path directory_, file_;
  Uuid journal_;
  std::unique_ptr<LineSink> sink_;
};

using Lines = std::vector<std::string>;

TEST_F(LineSinkTest, begins_with_nothing_and_goes_on_where_it_was) {
  EXPECT_EQ(cursor(), 1U);
  ASSERT_TRUE(deliver({record(1, "a"), record(2, "\n")}, 3));
  sink_ = make();  // a restart
  EXPECT_EQ(cursor(), 3U);
  ASSERT_TRUE(deliver({record(3, "c")}, 4));
  EXPECT_EQ(lines(), (Lines{"61", "0a", "63"}));
  ASSERT_TRUE(deliver({}, 9)) << "the cursor alone";
  EXPECT_EQ(cursor(), 9U);
}

TEST_F(LineSinkTest, forgets_lines_whose_cursor_was_never_written) {
  ASSERT_EQ(cursor(), 1U);
  ASSERT_TRUE(deliver({record(1, "a")}, 2));
  {
    std::ofstream torn(file_, std::ios::app);
    torn << "half of a delivery that a crash cut o";
  }
  sink_ = make();
  ASSERT_EQ(cursor(), 2U);
  ASSERT_TRUE(deliver({record(2, "b")}, 3));
  EXPECT_EQ(lines(), (Lines{"61", "62"}));
}

TEST_F(LineSinkTest, is_told_of_another_writer_by_the_cursor) {
  ASSERT_EQ(cursor(), 1U);
  auto other = make();
  ASSERT_TRUE(other->durable_cursor(journal_));
  const std::vector<journal::Record> records{record(1, "a")};
  ASSERT_TRUE(other->deliver(records, {.journal = journal_, .next_sequence = 2}));
  const auto delivered = deliver({record(1, "a")}, 2);
  ASSERT_FALSE(delivered);
  EXPECT_EQ(delivered.error().code, ErrorCode::conflict);
  sink_->reset();
  EXPECT_EQ(cursor(), 2U);
  EXPECT_TRUE(deliver({record(2, "b")}, 3));
  EXPECT_EQ(lines(), (Lines{"61", "62"}));
}

TEST_F(LineSinkTest, refuses_what_it_can_never_take_and_writes_nothing_of_it) {
  ASSERT_EQ(cursor(), 1U);
  const std::string large((1 << 20) + 1, 'x');
  const auto delivered = deliver({record(1, "a"), record(2, large)}, 3);
  ASSERT_FALSE(delivered);
  EXPECT_EQ(delivered.error().code, ErrorCode::payload_too_large);
  EXPECT_TRUE(sink_->rolled_back());
  EXPECT_FALSE(fs::exists(file_));
  EXPECT_TRUE(deliver({record(1, "a")}, 2)) << "ready for the next one as it is";
}

TEST_F(LineSinkTest, does_not_take_another_journal_for_its_own) {
  ASSERT_EQ(cursor(), 1U);
  ASSERT_TRUE(deliver({record(1, "a")}, 2));
  const auto other = sink_->durable_cursor(Uuid::random());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::corrupt);
}

TEST_F(LineSinkTest, says_that_its_cursor_is_none) {
  std::ofstream(fs::path(file_).concat(".cursor")) << "nonsense";
  const auto read = sink_->durable_cursor(journal_);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::corrupt);
}

}  // namespace
}  // namespace trialwire::extending
