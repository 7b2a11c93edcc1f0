// SPDX-License-Identifier: Apache-2.0
#include "storage/objects/object_store.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "storage/objects/object_names.hpp"
#include "support/journal_fixture.hpp"

namespace trialwire::storage {
namespace {

namespace fs = std::filesystem;
using journal::TemporaryDirectory;
using journal::write_file;

class FileStoreTest : public testing::Test {
 protected:
  fs::path root() const { return directory_.path() / "deep/archive"; }

  Result<void> put(std::string_view name, std::string_view text,
                   PutMode mode = PutMode::if_absent) {
    return put_text(*store_, name, text, mode);
  }
  std::string get(std::string_view name, ByteRange range = {}) {
    auto stream = store_->get(name, range);
    if (!stream) return "error: " + std::string(traits(stream.error().code).label);
    std::string text(64, '\0');
    const auto read = (*stream)->read(std::as_writable_bytes(std::span(text)));
    EXPECT_TRUE(read);
    text.resize(read.value_or(0));
    return text;
  }
  std::vector<std::string> list(std::string_view prefix, std::size_t most = 100) {
    std::vector<std::string> names;
    EXPECT_TRUE(store_->list(prefix, [&](std::string_view name) {
      names.emplace_back(name);
      return names.size() < most;
    }));
    return names;
  }
  static unsigned mode_of(const fs::path& path) {
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 07777;
  }
  std::vector<std::string> partials() const {
    std::vector<std::string> names;
    if (!fs::exists(root() / ".partial")) return names;
    for (const auto& entry : fs::directory_iterator(root() / ".partial")) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<ObjectStore> store_ = *open_object_store("file:" + root().native());
};

TEST_F(FileStoreTest, WhatWasPutIsThereWholeForItsOwnerAlone) {
  ASSERT_TRUE(put("a/b/c.txt", "hello"));
  EXPECT_EQ(get("a/b/c.txt"), "hello");
  EXPECT_EQ(store_->size("a/b/c.txt").value_or(0), 5U);
  EXPECT_TRUE(exists(*store_, "a/b/c.txt").value_or(false));
  EXPECT_EQ(mode_of(root()), 0700U);
  EXPECT_EQ(mode_of(root() / "a/b"), 0700U);
  EXPECT_EQ(mode_of(root() / "a/b/c.txt"), 0600U);
  EXPECT_TRUE(partials().empty());
}

TEST_F(FileStoreTest, ANameThatIsTakenIsAConflictAndKeepsItsObject) {
  ASSERT_TRUE(put("a", "first"));
  const auto second = put("a", "second");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_EQ(get("a"), "first");
  EXPECT_TRUE(partials().empty());
  ASSERT_TRUE(put("a", "third", PutMode::replace));
  EXPECT_EQ(get("a"), "third");
}

TEST_F(FileStoreTest, AnUploadThatIsNotCommittedLeavesNothing) {
  {
    auto upload = store_->put("a", PutMode::if_absent);
    ASSERT_TRUE(upload);
    ASSERT_TRUE((*upload)->write(as_bytes("half")));
    EXPECT_FALSE(exists(*store_, "a").value_or(true));
  }
  EXPECT_TRUE(partials().empty());
  EXPECT_TRUE(list("").empty());
}

TEST_F(FileStoreTest, WhatAKilledProcessLeftIsSweptButNotALiveUpload) {
  fs::create_directories(root() / ".partial");
  write_file(root() / ".partial/left", "by a killed process");
  auto live = store_->put("live", PutMode::if_absent);
  ASSERT_TRUE(live);
  EXPECT_EQ(partials().size(), 1U) << "what was left is gone";
  auto other = *open_object_store("file:" + root().native());
  ASSERT_TRUE(put_text(*other, "other", "x", PutMode::if_absent));
  EXPECT_EQ(partials().size(), 1U) << "the live one is not";
  EXPECT_TRUE((*live)->commit());
  EXPECT_EQ(list("").size(), 2U);
}

TEST_F(FileStoreTest, ARangeIsWhatThereIsOfIt) {
  ASSERT_TRUE(put("a", "0123456789"));
  EXPECT_EQ(get("a", {.offset = 2, .bytes = 3}), "234");
  EXPECT_EQ(get("a", {.offset = 8, .bytes = 5}), "89");
  EXPECT_EQ(get("a", {.offset = 20, .bytes = 5}), "");
}

TEST_F(FileStoreTest, NamesAreListedInOrderByPrefixUntilEnoughIsSeen) {
  EXPECT_TRUE(list("").empty()) << "an archive that is not there yet is empty";
  for (const char* name : {"s/b/2", "s/b/1", "s/b-c", "s/a/9", "t/1"}) ASSERT_TRUE(put(name, "x"));
  EXPECT_EQ(list(""), (std::vector<std::string>{"s/a/9", "s/b-c", "s/b/1", "s/b/2", "t/1"}));
  EXPECT_EQ(list("s/b"), (std::vector<std::string>{"s/b-c", "s/b/1", "s/b/2"}));
  EXPECT_EQ(list("s/b/"), (std::vector<std::string>{"s/b/1", "s/b/2"}));
  EXPECT_EQ(list("s/", 2), (std::vector<std::string>{"s/a/9", "s/b-c"}));
  EXPECT_TRUE(list("nothing/").empty());
}

TEST_F(FileStoreTest, RemovingIsNoErrorWhenThereIsNothing) {
  ASSERT_TRUE(put("a", "x"));
  EXPECT_TRUE(store_->remove("a"));
  EXPECT_TRUE(store_->remove("a"));
  EXPECT_TRUE(store_->remove("no/where"));
  EXPECT_EQ(get("a"), "error: not_found");
  EXPECT_EQ(store_->size("a").error().code, ErrorCode::not_found);
}

TEST_F(FileStoreTest, NoNameLeadsOutOfTheRoot) {
  for (const char* name : {"", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".hidden", "a/.b",
                           "a b", "a\nb", "ä"}) {
    EXPECT_FALSE(is_object_name(name)) << name;
    EXPECT_EQ(store_->put(name, PutMode::replace).error().code, ErrorCode::invalid_argument)
        << name;
    EXPECT_EQ(store_->get(name).error().code, ErrorCode::invalid_argument) << name;
    EXPECT_EQ(store_->remove(name).error().code, ErrorCode::invalid_argument) << name;
    EXPECT_EQ(store_->size(name).error().code, ErrorCode::invalid_argument) << name;
  }
  EXPECT_TRUE(list("../").empty());
  EXPECT_FALSE(is_object_name(std::string(256, 'a')));
  EXPECT_TRUE(is_object_name("segments/6f1c9e52-0d7a-4b6e-9a53-4f0f5f6d8a10/0000000000000001.zst"));
}

TEST_F(FileStoreTest, ALinkIsNoObject) {
  ASSERT_TRUE(put("a/b", "x"));
  write_file(directory_.path() / "secret", "not in the store");
  fs::create_symlink(directory_.path() / "secret", root() / "a/link");
  EXPECT_EQ(get("a/link"), "error: io");
  EXPECT_EQ(store_->size("a/link").error().code, ErrorCode::io);
}

TEST_F(FileStoreTest, ARootThatIsNoDirectoryIsAnErrorThatNamesIt) {
  fs::create_directories(root().parent_path());
  write_file(root(), "a file");
  const auto refused = put("a", "x");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find(root().native()), std::string::npos) << refused.error().text;
  fs::remove(root());
  EXPECT_TRUE(put("a", "x")) << "and goes on when it is one";
}

TEST_F(FileStoreTest, ASmallObjectIsReadWholeOrRefused) {
  ASSERT_TRUE(put("a", "12345"));
  EXPECT_EQ(get_text(*store_, "a", 5).value_or(""), "12345");
  EXPECT_EQ(get_text(*store_, "a", 4).error().code, ErrorCode::payload_too_large);
}

TEST(ObjectStoreTest, AnUnknownSchemeIsRefused) {
  EXPECT_EQ(open_object_store("ftp://x").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(open_object_store("file:").error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace trialwire::storage
