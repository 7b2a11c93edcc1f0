// SPDX-License-Identifier: Apache-2.0
#include "journal/dedupe_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/check.hpp"

namespace trialwire::journal {
namespace {

constexpr std::uint64_t run_magic = 0x314e'5255'5045'4444;  // "DDEPURN1"
constexpr std::uint32_t run_version = 1;
constexpr std::size_t block_head_bytes = 16;
static_assert(block_head_bytes + run_block_entries * sizeof(DedupeEntry) == block_bytes);

constexpr std::size_t at_version = 8, at_crc = 12, at_journal = 16, at_first = 32, at_last = 40,
                      at_entries = 48, at_blocks = 56, at_forgotten = 64, at_newest = 72;

constexpr std::string_view prefix = "dedupe-", suffix = ".run", unfinished_suffix = ".run.tmp";

std::uint32_t head_crc(const std::byte* block) noexcept {
  return crc32c({block + at_journal, block_bytes - at_journal}, crc32c({block, at_crc}));
}

void write_head(const RunHead& head, std::byte* block) noexcept {
  std::memset(block, 0, block_bytes);
  store_le(block, run_magic);
  store_le(block + at_version, run_version);
  std::memcpy(block + at_journal, head.journal.bytes.data(), 16);
  store_le(block + at_first, head.range.first);
  store_le(block + at_last, head.range.last);
  store_le(block + at_entries, head.entries);
  store_le(block + at_blocks, head.blocks);
  store_le(block + at_forgotten, head.forgotten_below);
  store_le(block + at_newest, head.newest_ms);
  store_le(block + at_crc, head_crc(block));
}

bool parse_head(const std::byte* block, RunHead& head) noexcept {
  if (load_le<std::uint64_t>(block) != run_magic ||
      load_le<std::uint32_t>(block + at_version) != run_version ||
      load_le<std::uint32_t>(block + at_crc) != head_crc(block)) {
    return false;
  }
  std::memcpy(head.journal.bytes.data(), block + at_journal, 16);
  head.range.first = load_le<std::uint64_t>(block + at_first);
  head.range.last = load_le<std::uint64_t>(block + at_last);
  head.entries = load_le<std::uint64_t>(block + at_entries);
  head.blocks = load_le<std::uint64_t>(block + at_blocks);
  head.forgotten_below = load_le<std::uint64_t>(block + at_forgotten);
  head.newest_ms = load_le<std::int64_t>(block + at_newest);
  return true;
}

std::uint32_t block_crc(const std::byte* block) noexcept {
  return crc32c({block + 4, block_bytes - 4});
}

const DedupeEntry* entries_of(const std::byte* block) noexcept {
  return reinterpret_cast<const DedupeEntry*>(block + block_head_bytes);
}

/// The entries of a block whose CRC and number are right.
std::optional<std::span<const DedupeEntry>> check_block(const std::byte* block,
                                                        std::uint64_t number) noexcept {
  const auto count = load_le<std::uint32_t>(block + 4);
  if (load_le<std::uint32_t>(block) != block_crc(block) || count == 0 ||
      count > run_block_entries || load_le<std::uint64_t>(block + 8) != number) {
    return std::nullopt;
  }
  return std::span(entries_of(block), count);
}

std::uint32_t fence_of(const Hash128& identity) noexcept {
  return static_cast<std::uint32_t>(identity.high >> 32);
}

std::unexpected<Error> damaged(const std::filesystem::path& path, std::uint64_t offset,
                               std::string_view what) {
  return fail(ErrorCode::corrupt, fmt::format("{}: offset {}: {} of the identity index is damaged",
                                              path.string(), offset, what));
}

}  // namespace

std::string run_name(const SequenceRange& range) {
  return fmt::format("{}{:016x}-{:016x}{}", prefix, range.first, range.last, suffix);
}

std::optional<SequenceRange> parse_run_name(std::string_view name) {
  constexpr std::size_t digits = 16;
  if (name.size() != prefix.size() + 2 * digits + 1 + suffix.size() || !name.starts_with(prefix) ||
      !name.ends_with(suffix) || name[prefix.size() + digits] != '-') {
    return std::nullopt;
  }
  SequenceRange range;
  auto number = [&](std::size_t at, std::uint64_t& into) {
    const char* from = name.data() + at;
    auto [end, error] = std::from_chars(from, from + digits, into, 16);
    return error == std::errc{} && end == from + digits;
  };
  if (!number(prefix.size(), range.first) || !number(prefix.size() + digits + 1, range.last)) {
    return std::nullopt;
  }
  return range;
}

bool is_unfinished_run(std::string_view name) {
  return name.starts_with(prefix) && name.ends_with(unfinished_suffix);
}

// ---- looking up ---------------------------------------------------------------------------------

Result<std::span<const DedupeEntry>> Run::read_block(std::uint64_t block) const {
  const std::uint64_t offset = (block + 1) * block_bytes;
  if (auto read = file_->read_at(offset, block_->bytes); !read) {
    return std::unexpected(read.error());
  }
  auto entries = check_block(block_->bytes, block + 1);
  if (!entries) return damaged(path_, offset, "a block");
  return *entries;
}

Result<std::optional<DedupeEntry>> Run::find(const Hash128& identity) const {
  if (fences_.empty()) return std::nullopt;
  // Identities are uniform: start where it should be and walk; a few steps of four bytes.
  const std::uint32_t wanted = fence_of(identity);
  std::size_t block = scale_to(identity.high, fences_.size());
  while (block + 1 < fences_.size() && fences_[block + 1] < wanted) ++block;
  while (block > 0 && fences_[block] >= wanted) --block;
  for (; block < fences_.size() && fences_[block] <= wanted; ++block) {
    auto entries = read_block(block);
    if (!entries) return std::unexpected(entries.error());
    if (identity_less(entries->back().identity, identity)) continue;
    auto at = std::ranges::lower_bound(*entries, identity, identity_less, &DedupeEntry::identity);
    if (at->identity == identity) return *at;
    return std::nullopt;
  }
  return std::nullopt;
}

// ---- reading in order ---------------------------------------------------------------------------

Result<RunReader> RunReader::open(FileLayer& files, const std::filesystem::path& path,
                                  const Uuid& journal) {
  auto file = files.open(path, OpenMode::read, false);
  if (!file) return std::unexpected(file.error());
  auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  RunReader reader;
  reader.run_ = std::make_shared<Run>();
  Run& run = *reader.run_;
  run.path_ = path;
  run.file_ = std::move(*file);
  if (*size < block_bytes) return damaged(path, 0, "the head");
  if (auto read = run.file_->read_at(0, run.block_->bytes); !read) {
    return std::unexpected(read.error());
  }
  if (!parse_head(run.block_->bytes, run.head_)) return damaged(path, 0, "the head");
  if (run.head_.journal != journal) {
    return fail(ErrorCode::corrupt,
                fmt::format("{}: belongs to journal {}, not to {}", path.string(),
                            run.head_.journal.text(), journal.text()));
  }
  if (run.head_.blocks > *size / block_bytes || (run.head_.blocks + 1) * block_bytes != *size) {
    return damaged(path, 0, "the size");
  }
  run.fences_.reserve(run.head_.blocks);
  reader.chunk_ = std::make_unique_for_overwrite<std::byte[]>(run_chunk_blocks * block_bytes);
  return reader;
}

Result<void> RunReader::fill() {
  chunk_blocks_ = std::min<std::uint64_t>(run_chunk_blocks, run_->head_.blocks + 1 - next_);
  chunk_at_ = 0;
  return run_->file_->read_at(next_ * block_bytes, {chunk_.get(), chunk_blocks_ * block_bytes});
}

Result<std::span<const DedupeEntry>> RunReader::next_block() {
  if (next_ > run_->head_.blocks) return std::span<const DedupeEntry>();
  if (chunk_at_ == chunk_blocks_) {
    if (auto filled = fill(); !filled) return std::unexpected(filled.error());
  }
  auto entries = check_block(chunk_.get() + chunk_at_ * block_bytes, next_);
  if (!entries) return damaged(run_->path_, next_ * block_bytes, "a block");
  run_->fences_.push_back(fence_of(entries->front().identity));
  ++chunk_at_;
  ++next_;
  return *entries;
}

// ---- writing ------------------------------------------------------------------------------------

void RunWriter::Free::operator()(std::byte* memory) const noexcept {
  std::free(memory);
}

Result<RunWriter> RunWriter::create(FileLayer& files, const std::filesystem::path& directory,
                                    const RunHead& head, bool direct) {
  RunWriter writer;
  writer.files_ = &files;
  writer.directory_ = directory;
  writer.temporary_ = directory / (run_name(head.range) + ".tmp");
  auto file = files.open(writer.temporary_, OpenMode::create_new, direct);
  if (!file && files.remove(writer.temporary_)) {  // left over from a failed attempt
    file = files.open(writer.temporary_, OpenMode::create_new, direct);
  }
  if (!file) return std::unexpected(file.error());
  writer.file_ = std::move(*file);
  writer.chunk_.reset(
      static_cast<std::byte*>(std::aligned_alloc(block_bytes, run_chunk_blocks * block_bytes)));
  TW_CHECK(writer.chunk_ != nullptr);
  writer.head_ = head;
  writer.head_.entries = 0;
  writer.head_.blocks = 0;
  writer.head_.newest_ms = 0;
  std::memset(writer.chunk_.get(), 0, block_bytes);  // the head's place, written when all is known
  writer.chunk_at_ = 1;
  return writer;
}

RunWriter::~RunWriter() {
  if (file_ == nullptr) return;
  file_.reset();
  // A left-over does no harm: it is removed at the next start.
  static_cast<void>(files_->remove(temporary_));
}

Result<void> RunWriter::write_chunk() {
  const std::size_t bytes = chunk_at_ * block_bytes;
  if (auto written = file_->write_at(offset_, {chunk_.get(), bytes}); !written) return written;
  offset_ += bytes;
  chunk_at_ = 0;
  return {};
}

Result<void> RunWriter::close_block() {
  std::byte* block = chunk_.get() + chunk_at_ * block_bytes;
  const std::size_t used = block_head_bytes + block_entries_ * sizeof(DedupeEntry);
  std::memset(block + used, 0, block_bytes - used);
  store_le(block + 4, static_cast<std::uint32_t>(block_entries_));
  store_le(block + 8, ++head_.blocks);
  store_le(block, block_crc(block));
  block_entries_ = 0;
  return ++chunk_at_ == run_chunk_blocks ? write_chunk() : Result<void>{};
}

Result<void> RunWriter::add(const DedupeEntry& entry) {
  std::byte* block = chunk_.get() + chunk_at_ * block_bytes;
  std::memcpy(block + block_head_bytes + block_entries_ * sizeof entry, &entry, sizeof entry);
  head_.newest_ms = std::max(head_.newest_ms, entry.received_ms());
  ++head_.entries;
  return ++block_entries_ == run_block_entries ? close_block() : Result<void>{};
}

Result<std::shared_ptr<const Run>> RunWriter::finish() {
  auto steps = [&]() -> Result<std::shared_ptr<const Run>> {
    if (block_entries_ > 0) {
      if (auto closed = close_block(); !closed) return std::unexpected(closed.error());
    }
    if (chunk_at_ > 0) {
      if (auto written = write_chunk(); !written) return std::unexpected(written.error());
    }
    write_head(head_, chunk_.get());
    if (auto r = file_->write_at(0, {chunk_.get(), block_bytes}); !r) {
      return std::unexpected(r.error());
    }
    if (auto synced = file_->sync(); !synced) return std::unexpected(synced.error());
    // Proves what the disk holds, and brings it into the page cache for the look-ups to come.
    auto reader = RunReader::open(*files_, temporary_, head_.journal);
    if (!reader) return std::unexpected(reader.error());
    while (true) {
      auto block = reader->next_block();
      if (!block) return std::unexpected(block.error());
      if (block->empty()) break;
    }
    const auto path = directory_ / run_name(head_.range);
    if (auto r = files_->rename(temporary_, path); !r) return std::unexpected(r.error());
    if (auto r = files_->sync_directory(directory_); !r) return std::unexpected(r.error());
    return std::move(*reader).finish(path);
  };
  auto run = steps();
  if (run) file_.reset();
  return run;
}

}  // namespace trialwire::journal
