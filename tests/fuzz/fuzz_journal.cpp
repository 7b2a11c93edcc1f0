// SPDX-License-Identifier: Apache-2.0
// Arbitrary damage to a journal: recovery, verification, reading and repair must neither crash nor
// hang, a refusal must change nothing, and what opens must be readable to its end.
//
// Input: byte 0 bit 0 set: the rest is a segment file; otherwise edits of four bytes each (where,
// what, value) of a small valid journal, after which heads may be given a right CRC again.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "journal/format.hpp"
#include "journal/journal_files.hpp"
#include "journal/offline.hpp"
#include "journal/segment_store.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::journal {
namespace {

using std::filesystem::path;
using Contents = std::map<std::string, std::string>;

/// Files by name, nothing more; one thread.
class MemoryFiles final : public FileLayer {
 public:
  class MemoryFile final : public File {
   public:
    MemoryFile(Contents& all, std::filesystem::path name) : all_(all), name_(std::move(name)) {}
    Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
      std::string& text = all_[name_.native()];
      if (text.size() < offset + bytes.size()) text.resize(offset + bytes.size());
      text.replace(offset, bytes.size(), as_text(bytes));
      return {};
    }
    Result<void> read_at(std::uint64_t offset, MutableBytes into) override {
      const std::string& text = all_[name_.native()];
      if (offset > text.size() || into.size() > text.size() - offset) {
        return fail(ErrorCode::io, "read beyond the end");
      }
      text.copy(reinterpret_cast<char*>(into.data()), into.size(), offset);
      return {};
    }
    Result<void> sync() override { return {}; }
    Result<std::uint64_t> size() override { return all_[name_.native()].size(); }
    const std::filesystem::path& path() const override { return name_; }

   private:
    Contents& all_;
    std::filesystem::path name_;
  };
  class MemoryLock final : public DirectoryLock {};

  Contents files;

  Result<std::unique_ptr<File>> open(const path& name, OpenMode mode, bool) override {
    const bool exists = files.contains(name.native());
    if (mode != OpenMode::create_new && !exists) return fail(ErrorCode::not_found, name.native());
    if (mode == OpenMode::create_new && exists) return fail(ErrorCode::io, "it exists");
    files[name.native()];
    return std::make_unique<MemoryFile>(files, name);
  }
  Result<std::vector<std::string>> list(const path& directory) override {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : files) {
      if (path(name).parent_path() == directory) names.push_back(path(name).filename().native());
    }
    return names;
  }
  Result<void> create_directory(const path&) override { return {}; }
  Result<std::unique_ptr<DirectoryLock>> lock(const path&) override {
    return std::make_unique<MemoryLock>();
  }
  Result<FileIdentity> identity(const path&) override { return FileIdentity{}; }
  Result<void> rename(const path& from, const path& to) override {
    auto node = files.extract(from.native());
    if (node.empty()) return fail(ErrorCode::not_found, from.native());
    files[to.native()] = std::move(node.mapped());
    return {};
  }
  Result<void> remove(const path& name) override {
    if (files.erase(name.native()) == 0) return fail(ErrorCode::not_found, name.native());
    return {};
  }
  Result<void> sync_directory(const path&) override { return {}; }
  Result<bool> supports_direct(const path&) override { return true; }
};

constexpr std::size_t segment_bytes = 16 * block_bytes;

StoreOptions options() {
  StoreOptions options;
  options.directory = "/j";
  options.segment_bytes = segment_bytes;
  options.bytes_max = 1 << 30;
  options.recovery_threads = 1;
  return options;
}

Result<std::unique_ptr<SegmentStore>> open(MemoryFiles& files) {
  // Cells live as long as their registry: one for each opening.
  static std::unique_ptr<telemetry::Registry> registry;
  registry = std::make_unique<telemetry::Registry>();
  telemetry::Registry& metrics = *registry;
  return SegmentStore::open(options(), files, metrics);
}

void append(SegmentStore& store, std::uint32_t records, std::size_t bytes) {
  const std::string text(bytes, 'r');
  Record record;
  record.bytes = as_bytes(text);
  BatchBuffer batch;
  MutableBytes into = batch.begin(records * encoded_size(record), records);
  for (std::uint32_t i = 0; i < records; ++i)
    into = into.subspan(encode_record(record, into.data()));
  TW_CHECK(store.append(batch, 1'700'000'000'000'000'000).has_value());
}

/// Two full segments and the beginning of a third; batches of one block and of several.
Contents valid_journal() {
  MemoryFiles files;
  {
    auto store = open(files);
    TW_CHECK(store.has_value());
    for (std::uint32_t i = 0; i < 14; ++i) append(**store, i % 3, i % 4 == 3 ? 9'000 : 300);
  }
  return files.files;
}

void refresh_head(std::string& bytes, std::size_t at) {
  std::byte* head = reinterpret_cast<std::byte*>(bytes.data()) + at;
  store_le(head + 188, crc32c({head, 188}));
}

void edit(Contents& files, ByteView edits) {
  std::vector<std::string> names;
  for (const auto& [name, bytes] : files) {
    if (!name.ends_with(".key")) names.push_back(name);
  }
  for (; edits.size() >= 4; edits = edits.subspan(4)) {
    const auto where = load_le<std::uint16_t>(edits.data());
    const auto what = std::to_integer<unsigned>(edits[2]);
    const char value = static_cast<char>(edits[3]);
    std::string& bytes = files[names[(what >> 4) % names.size()]];
    if (bytes.size() < block_bytes) {
      if (!bytes.empty()) bytes[where % bytes.size()] ^= value;
      continue;
    }
    const std::size_t block = where % (bytes.size() / block_bytes) * block_bytes;
    const std::size_t sector = where % (bytes.size() / sector_bytes) * sector_bytes;
    switch (what % 8) {
      case 0:
        bytes[where % bytes.size()] ^= value;
        break;
      case 1:
        bytes.replace(sector, sector_bytes, sector_bytes, '\0');
        break;
      case 2:
        bytes.replace(block, block_bytes, block_bytes, '\0');
        break;
      case 3:
        bytes[block + static_cast<unsigned char>(value) % head_bytes] ^= '\x55';
        break;
      case 4:
        refresh_head(bytes, block);
        break;
      case 5:
        bytes.replace(block, block_bytes, bytes.substr(0, block_bytes));
        break;
      case 6:
        bytes.resize(bytes.size() - static_cast<unsigned char>(value));
        break;
      default:
        bytes.resize(where);
        break;
    }
  }
}

void read_all(SegmentStore& store) {
  auto reader = store.read(store.first_sequence());
  TW_CHECK(reader.has_value());
  std::vector<Record> records;
  while (true) {
    const auto batch = (*reader)->next();
    TW_CHECK(batch.has_value());
    if (*batch == nullptr) return;
    records.clear();
    decode_batch(**batch, records);
  }
}

void exercise(MemoryFiles& files) {
  const Contents before = files.files;
  auto store = open(files);
  if (store) {
    read_all(**store);
    append(**store, 1, 10);
    return;
  }
  TW_CHECK(files.files == before);
  static_cast<void>(journal_cat("/j", files, {}, [](const Uuid&, const Record&) { return true; }));
  static_cast<void>(journal_info("/j", files));
  const auto repaired = journal_repair("/j", files, {.apply = true});
  if (!repaired || !repaired->applied) return;
  for (int start = 0; start < 3; ++start) {  // what it writes after the repair is accepted, too
    store = open(files);
    if (!store) std::fprintf(stderr, "%s\n", store.error().text.c_str());
    TW_CHECK(store.has_value());
    read_all(**store);
    append(**store, 1, 10);
    store->reset();
  }
}

}  // namespace
}  // namespace trialwire::journal

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace trialwire;
  using namespace trialwire::journal;
  telemetry::set_log_level("", telemetry::LogLevel::off);
  static const Contents valid = valid_journal();
  if (size == 0) return 0;
  MemoryFiles files;
  files.files = valid;
  const ByteView rest = std::as_bytes(std::span(data + 1, size - 1));
  if ((data[0] & 1) != 0) {
    std::string bytes(as_text(rest));
    if ((data[0] & 2) != 0) bytes.resize(segment_bytes);
    files.files["/j/" + segment_name((data[0] >> 2) % 5 + 1)] = bytes;
  } else {
    edit(files.files, rest);
  }
  exercise(files);
  return 0;
}
