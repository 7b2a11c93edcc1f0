// SPDX-License-Identifier: Apache-2.0
// A small journal in a temporary directory, without threads: for tests of format, recovery, repair.
#pragma once
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <string>
#include <vector>

#include "journal/file_layer.hpp"
#include "journal/format.hpp"
#include "journal/journal_files.hpp"
#include "journal/segment_store.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::journal {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "trialwire-XXXXXX").native();
    path_ = ::mkdtemp(name.data());
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// Changes bytes of a file where they are.
inline void overwrite(const std::filesystem::path& path, std::uint64_t offset,
                      const std::string& bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file << bytes;
}

inline void flip_bit(const std::filesystem::path& path, std::uint64_t offset) {
  std::string byte = read_file(path).substr(offset, 1);
  byte[0] = static_cast<char>(byte[0] ^ 0x10);
  overwrite(path, offset, byte);
}

/// Everything in a directory, to see that nothing was touched.
inline std::map<std::string, std::string> contents(const std::filesystem::path& directory) {
  std::map<std::string, std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) {
      found[entry.path().lexically_relative(directory).native()] = read_file(entry.path());
    }
  }
  return found;
}

class JournalFixture : public ::testing::Test {
 protected:
  static constexpr std::size_t segment = 16 * block_bytes;

  StoreOptions options() const {
    StoreOptions options;
    options.directory = directory_.path() / "journal";
    options.segment_bytes = segment;
    options.bytes_max = 64 * segment;
    options.recovery_threads = 1;
    options.scrub_bytes_per_second = 0;
    return options;
  }
  std::filesystem::path file(std::uint64_t number) const {
    return options().directory / segment_name(number);
  }
  std::filesystem::path in_journal(std::string_view name) const {
    return options().directory / name;
  }

  Result<std::unique_ptr<SegmentStore>> open() { return open(options()); }
  Result<std::unique_ptr<SegmentStore>> open(const StoreOptions& options) {
    return SegmentStore::open(options, posix_files(), metrics_);
  }

  /// A record whose bytes say its number.
  static std::string body(std::uint64_t number, std::size_t size = 100) {
    std::string text = "{\"report\":" + std::to_string(number) + "}";
    text.resize(std::max(size, text.size()), ' ');
    return text;
  }

  static Result<Appended> append(SegmentStore& store, std::uint32_t records,
                                 std::size_t record_size = 100, bool keyed = false) {
    std::vector<std::byte> payload;
    std::uint64_t number = store.chain().next_sequence;
    for (std::uint32_t i = 0; i < records; ++i, ++number) {
      const std::string text = body(number, record_size);
      Record record;
      record.attributes.received_ns = static_cast<std::int64_t>(number);
      if (keyed) record.attributes.key_hash = static_cast<std::uint32_t>(number);
      record.bytes = as_bytes(text);
      const std::size_t at = payload.size();
      payload.resize(at + encoded_size(record));
      encode_record(record, payload.data() + at);
    }
    BatchBuffer batch;
    std::ranges::copy(payload, batch.begin(payload.size(), records).begin());
    return store.append(batch, 1'700'000'000'000'000'000);
  }

  /// Batches of one record each until `segments` segments hold data; returns the next sequence.
  std::uint64_t fill(std::uint64_t segments, std::size_t record_size = 100) {
    auto store = open();
    EXPECT_TRUE(store) << store.error().text;
    while ((*store)->tail().segment < segments) EXPECT_TRUE(append(**store, 1, record_size));
    (*store)->maintain();
    return (*store)->chain().next_sequence;
  }

  /// Sequences of everything that can be read, each checked against its body.
  static std::vector<std::uint64_t> read_all(SegmentStore& store, std::uint64_t from = 1) {
    std::vector<std::uint64_t> sequences;
    auto reader = store.read(from);
    EXPECT_TRUE(reader) << (reader ? "" : reader.error().text);
    if (!reader) return sequences;
    while (true) {
      const auto batch = (*reader)->next();
      EXPECT_TRUE(batch) << (batch ? "" : batch.error().text);
      if (!batch || *batch == nullptr) break;
      std::vector<Record> records;
      EXPECT_TRUE(decode_batch(**batch, records));
      for (const Record& record : records) {
        sequences.push_back(record.sequence);
        const std::string expected = body(record.sequence, record.bytes.size());
        EXPECT_EQ(as_text(record.bytes), expected);
      }
    }
    return sequences;
  }

  TemporaryDirectory directory_;
  telemetry::Registry metrics_;
};

}  // namespace trialwire::journal
