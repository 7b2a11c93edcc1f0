// SPDX-License-Identifier: Apache-2.0
// A run: the identities of a contiguous range of sequences in one immutable file
// "dedupe-FIRST-LAST.run" (both as 16 hexadecimal digits).
//
//   block 0        head: magic, version, journal, range, counts, CRC32C
//   block 1 … n    {CRC of the rest, u32 entries, u64 block number}, 102 entries of 40 bytes; the
//   CRC
//                  is the CRC32C of the CRC32Cs of the block's four quarters
//
// Entries are in the order of their partition (the top bits of the identity, 16 to 32 entries
// each), and within it in order of arrival: to bring them there takes two passes and no comparison,
// and the same goes for a merge. In memory a run is its open file and four bytes a block (the
// partition that it begins with), so that a look-up reads one block, sometimes two. A run is
// written under a temporary name, synced and then renamed: what has a run's name is whole, or
// damaged and said so. Everything that it lists was durable in the journal before.
//
// Open runs are shared between the committer, which looks up, and the background thread, which
// merges: hence shared_ptr. Look-ups from one thread at a time.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/uuid.hpp"
#include "journal/dedupe_entry.hpp"
#include "journal/file_layer.hpp"

namespace trialwire::journal {

/// Sequences, both inclusive.
struct SequenceRange {
  std::uint64_t first = 1;
  std::uint64_t last = 0;
  bool empty() const noexcept { return last < first; }
  bool contains(const SequenceRange& other) const noexcept {
    return first <= other.first && other.last <= last;
  }
};

struct RunHead {
  Uuid journal;
  SequenceRange range;
  std::uint32_t partition_bits = 0;
  std::uint64_t entries = 0;
  std::uint64_t blocks = 0;           // after the head
  std::uint64_t forgotten_below = 1;  // sequences below were dropped on purpose when it was written
  std::int64_t newest_ms = 0;         // latest time of receipt in it
};

constexpr std::size_t run_block_entries = 102;
constexpr std::size_t run_chunk_blocks = 48;  // read and written at once
/// No run has fewer partitions: a merge goes through that many ranges, each in memory.
constexpr unsigned partition_bits_min = 12;

/// Partitions of a run of so many entries.
unsigned partition_bits_for(std::uint64_t entries) noexcept;
inline std::uint32_t partition_of(const Hash128& identity, unsigned bits) noexcept {
  return static_cast<std::uint32_t>(identity.high >> (64 - bits));
}

std::string run_name(const SequenceRange& range);
/// The range that a file's name says; nothing for other files.
std::optional<SequenceRange> parse_run_name(std::string_view name);
/// Is it what an interrupted write left behind?
bool is_unfinished_run(std::string_view name);

class Run {
 public:
  const RunHead& head() const noexcept { return head_; }
  const std::filesystem::path& path() const noexcept { return path_; }
  /// Which tags of the tag table speak of it; see dedupe_tags.hpp. Not stored.
  std::uint64_t era() const noexcept { return era_; }

  /// The newest entry with that identity. Errors: io; corrupt, with file and offset.
  Result<std::optional<DedupeEntry>> find(const Hash128& identity) const;

 private:
  friend class RunReader;
  friend class RunWriter;
  Result<std::span<const DedupeEntry>> read_block(std::uint64_t block) const;

  std::filesystem::path path_;
  std::unique_ptr<File> file_;
  RunHead head_;
  std::uint64_t era_ = 0;
  std::vector<std::uint32_t> fences_;  // partition of each block's first entry
  struct alignas(4096) Block {
    std::byte bytes[block_bytes];
  };
  std::unique_ptr<Block> block_ = std::make_unique<Block>();
};

/// Reads a run in order, verifying every block; what it has read can then be opened for look-ups.
class RunReader {
 public:
  /// Errors: io; corrupt, when the head or the size is not right.
  static Result<RunReader> open(FileLayer& files, const std::filesystem::path& path,
                                const Uuid& journal);
  const RunHead& head() const noexcept { return run_->head_; }
  /// The entries of the next block, in order; empty at the end. Valid until the next call.
  Result<std::span<const DedupeEntry>> next_block();
  /// After the end was reached.
  std::shared_ptr<const Run> finish(std::uint64_t era) && {
    run_->era_ = era;
    return std::move(run_);
  }

 private:
  RunReader() = default;
  Result<void> fill();

  std::shared_ptr<Run> run_;
  std::unique_ptr<std::byte[]> chunk_;
  std::size_t chunk_at_ = 0;  // blocks
  std::size_t chunk_blocks_ = 0;
  std::uint64_t next_ = 1;
};

/// Writes a run entry by entry.
class RunWriter {
 public:
  struct Target {
    FileLayer& files;
    std::filesystem::path directory;
  };
  /// `head` says the range, the partitions, and what is forgotten.
  static Result<RunWriter> create(const Target& target, const RunHead& head);
  ~RunWriter();
  RunWriter(RunWriter&&) noexcept = default;
  RunWriter& operator=(RunWriter&&) = delete;

  /// In order of partition and, within it, of arrival.
  Result<void> add(const DedupeEntry& entry);
  /// Syncs, renames and opens it for look-ups.
  Result<std::shared_ptr<const Run>> finish(std::uint64_t era);
  std::uint64_t bytes_written() const noexcept { return offset_; }

 private:
  explicit RunWriter(Target target) : target_(std::move(target)) {}
  Result<void> close_block();
  Result<void> write_chunk();
  Result<void> complete();

  Target target_;
  std::filesystem::path temporary_;
  std::unique_ptr<File> file_;
  std::shared_ptr<Run> run_;
  std::unique_ptr<std::byte[]> chunk_;
  std::size_t chunk_at_ = 0;       // whole blocks in the chunk
  std::size_t block_entries_ = 0;  // in the block being filled
  std::uint64_t offset_ = 0;
};

}  // namespace trialwire::journal
