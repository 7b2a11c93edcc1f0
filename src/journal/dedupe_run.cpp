// SPDX-License-Identifier: Apache-2.0
#include "journal/dedupe_run.hpp"

#include <fmt/format.h>
#include <nmmintrin.h>

#include <algorithm>
#include <bit>
#include <charconv>

#include "base/check.hpp"

namespace trialwire::journal {
namespace {

constexpr std::uint64_t run_magic = 0x314e'5255'5045'4444;  // "DDEPURN1"
constexpr std::uint32_t run_version = 1;
constexpr std::size_t block_head_bytes = 16;
static_assert(block_head_bytes + run_block_entries * sizeof(DedupeEntry) == block_bytes);

constexpr std::size_t at_version = 8, at_crc = 12, at_journal = 16, at_first = 32, at_last = 40,
                      at_entries = 48, at_blocks = 56, at_forgotten = 64, at_newest = 72,
                      at_partition_bits = 80;

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
  store_le(block + at_partition_bits, head.partition_bits);
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
  head.partition_bits = load_le<std::uint32_t>(block + at_partition_bits);
  return head.partition_bits >= partition_bits_min && head.partition_bits <= 32;
}

std::uint32_t block_crc(const std::byte* block) noexcept {
  // Four streams at a time, which is what the instruction's latency leaves room for. The first
  // eight bytes of each quarter are taken apart from the rest: those of the first hold the CRC.
  constexpr std::size_t quarter = block_bytes / 4;
  std::array<std::uint64_t, 4> crcs{_mm_crc32_u32(~0U, load_le<std::uint32_t>(block + 4))};
  for (std::size_t q = 1; q < 4; ++q) {
    crcs[q] = _mm_crc32_u64(~0U, load_le<std::uint64_t>(block + q * quarter));
  }
  for (std::size_t i = 8; i < quarter; i += 8) {
    for (std::size_t q = 0; q < 4; ++q) {
      crcs[q] = _mm_crc32_u64(crcs[q], load_le<std::uint64_t>(block + q * quarter + i));
    }
  }
  return crc32c(std::as_bytes(std::span(crcs)));
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

std::unexpected<Error> damaged(const std::filesystem::path& path, std::uint64_t offset,
                               std::string_view what) {
  return fail(ErrorCode::corrupt, fmt::format("{}: offset {}: {} of the identity index is damaged",
                                              path.string(), offset, what));
}

}  // namespace

unsigned partition_bits_for(std::uint64_t entries) noexcept {
  const auto bits = static_cast<unsigned>(std::bit_width(entries / 16));
  return std::clamp(bits == 0 ? 0U : bits - 1, partition_bits_min, 32U);
}

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
  const std::uint32_t wanted = partition_of(identity, head_.partition_bits);
  std::size_t block = scale_to(identity.high, fences_.size());
  while (block + 1 < fences_.size() && fences_[block + 1] < wanted) ++block;
  while (block > 0 && fences_[block] >= wanted) --block;
  std::optional<DedupeEntry> found;
  for (; block < fences_.size() && fences_[block] <= wanted; ++block) {
    auto entries = read_block(block);
    if (!entries) return std::unexpected(entries.error());
    for (const DedupeEntry& entry : *entries) {
      if (entry.identity == identity) found = entry;
    }
    if (partition_of(entries->back().identity, head_.partition_bits) > wanted) break;
  }
  return found;
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
  run_->fences_.push_back(partition_of(entries->front().identity, run_->head_.partition_bits));
  ++chunk_at_;
  ++next_;
  return *entries;
}

// ---- writing ------------------------------------------------------------------------------------

Result<RunWriter> RunWriter::create(const Target& target, const RunHead& head) {
  RunWriter writer(target);
  writer.run_ = std::make_shared<Run>();
  Run& run = *writer.run_;
  run.path_ = target.directory / run_name(head.range);
  run.head_ = head;
  run.head_.entries = 0;
  run.head_.blocks = 0;
  run.head_.newest_ms = 0;
  writer.temporary_ = run.path_;
  writer.temporary_ += ".tmp";
  // Through the page cache: the look-ups to come read from there.
  auto file = target.files.open(writer.temporary_, OpenMode::create_new, false);
  if (!file && target.files.remove(writer.temporary_)) {  // left over from a failed attempt
    file = target.files.open(writer.temporary_, OpenMode::create_new, false);
  }
  if (!file) return std::unexpected(file.error());
  writer.file_ = std::move(*file);
  writer.chunk_ = std::make_unique_for_overwrite<std::byte[]>(run_chunk_blocks * block_bytes);
  std::memset(writer.chunk_.get(), 0, block_bytes);  // the head's place, written when all is known
  writer.chunk_at_ = 1;
  return writer;
}

RunWriter::~RunWriter() {
  if (file_ == nullptr) return;
  file_.reset();
  // A left-over does no harm: it is removed at the next start.
  static_cast<void>(target_.files.remove(temporary_));
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
  store_le(block + 8, ++run_->head_.blocks);
  store_le(block, block_crc(block));
  run_->fences_.push_back(partition_of(entries_of(block)->identity, run_->head_.partition_bits));
  block_entries_ = 0;
  return ++chunk_at_ == run_chunk_blocks ? write_chunk() : Result<void>{};
}

Result<void> RunWriter::add(const DedupeEntry& entry) {
  std::byte* block = chunk_.get() + chunk_at_ * block_bytes;
  std::memcpy(block + block_head_bytes + block_entries_ * sizeof entry, &entry, sizeof entry);
  run_->head_.newest_ms = std::max(run_->head_.newest_ms, entry.received_ms());
  ++run_->head_.entries;
  return ++block_entries_ == run_block_entries ? close_block() : Result<void>{};
}

Result<void> RunWriter::complete() {
  if (block_entries_ > 0) {
    if (auto closed = close_block(); !closed) return closed;
  }
  if (chunk_at_ > 0) {
    if (auto written = write_chunk(); !written) return written;
  }
  write_head(run_->head_, chunk_.get());
  if (auto r = file_->write_at(0, {chunk_.get(), block_bytes}); !r) return r;
  if (auto r = file_->sync(); !r) return r;
  if (auto r = target_.files.rename(temporary_, run_->path_); !r) return r;
  return target_.files.sync_directory(target_.directory);
}

Result<std::shared_ptr<const Run>> RunWriter::finish(std::uint64_t era) {
  if (auto completed = complete(); !completed) return std::unexpected(completed.error());
  file_.reset();
  auto file = target_.files.open(run_->path_, OpenMode::read, false);
  if (!file) return std::unexpected(file.error());
  run_->file_ = std::move(*file);
  run_->era_ = era;
  return std::move(run_);
}

}  // namespace trialwire::journal
