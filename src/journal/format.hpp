// SPDX-License-Identifier: Apache-2.0
// Bytes of the journal: batches and records, as docs/journal-format.md says. Pure functions on
// memory; decoding checks every length before it is used and never reads outside of its input.
//
// A batch is: fixed head (192 bytes), table of one CRC32C per 4 KiB block, zeros to 8 bytes,
// records, zeros to 4 KiB. "Header" is all before the records; its SHA-256 is what the next batch
// repeats as `previous`.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/sha256_leaves.hpp"
#include "base/uuid.hpp"
#include "journal/block_memory.hpp"
#include "journal/file_layer.hpp"
#include "journal/record.hpp"

namespace trialwire::journal {

// ---- records ------------------------------------------------------------------------------------

constexpr std::size_t record_alignment = 8;
constexpr std::size_t record_fixed_bytes = 48;
constexpr std::size_t attribute_text_max = 255;

/// Bytes that `encode_record` will write, a multiple of 8.
std::size_t encoded_size(const Record& record) noexcept;

/// Writes `encoded_size(record)` bytes to `to` and returns their number. Attribute texts beyond 255
/// bytes are cut; `sequence` and `epoch` are not stored, they follow from the batch.
std::size_t encode_record(const Record& record, std::byte* to) noexcept;

/// Fields of an encoded record where it lies, for the committer: no decoding, no copy. Only for
/// bytes that `encode_record` wrote.
class EncodedRecord {
 public:
  explicit EncodedRecord(const std::byte* at) noexcept : at_(at) {}
  const std::byte* data() const noexcept { return at_; }
  /// Distance to the next record.
  std::size_t stride() const noexcept {
    return (load_le<std::uint32_t>(at_) + record_alignment - 1) & ~(record_alignment - 1);
  }
  std::int64_t received_ns() const noexcept { return load_le<std::int64_t>(at_ + 8); }
  Hash128 identity() const noexcept {
    return {load_le<std::uint64_t>(at_ + 16), load_le<std::uint64_t>(at_ + 24)};
  }
  std::uint64_t content_hash() const noexcept { return load_le<std::uint64_t>(at_ + 32); }

 private:
  const std::byte* at_;
};

/// Decodes the record at the start of `payload`; its views point into it. Returns its stride, or 0
/// when the bytes are no record. `sequence` and `epoch` are left as they are.
std::size_t decode_record(ByteView payload, Record& into) noexcept;

// ---- batches ------------------------------------------------------------------------------------

constexpr std::uint16_t format_version = 1;
constexpr std::size_t head_bytes = 192;
constexpr std::uint64_t payload_bytes_max = 1ULL << 30;

/// Bits of BatchHead::flags.
constexpr std::uint16_t batch_sealing = 1;  // empty; gives the last acknowledged one its successor

struct BatchHead {
  std::uint16_t version = format_version;
  std::uint16_t flags = 0;
  std::uint32_t epoch = 0;  // of the process that wrote it
  Uuid journal;
  std::uint64_t first_sequence = 0;
  std::uint32_t records = 0;
  std::uint32_t blocks = 0;  // of the whole batch
  std::uint64_t payload_bytes = 0;
  std::uint32_t header_bytes = 0;  // the payload's offset in the batch
  std::uint32_t table_crc = 0;
  Sha256 payload_hash{};
  Sha256 previous{};              // hash of the header before it
  std::uint64_t segment = 0;      // number of the file …
  std::uint64_t offset = 0;       // … and the place in it that the batch was written for
  std::int64_t committed_ns = 0;  // when its write began, since the Unix epoch

  std::uint64_t bytes() const noexcept { return std::uint64_t{blocks} * block_bytes; }
  std::uint64_t next_sequence() const noexcept { return first_sequence + records; }
};

struct BatchLayout {
  std::uint32_t blocks = 0;
  std::uint32_t header_bytes = 0;
};

/// Where things lie in a batch of so many payload bytes (at most `payload_bytes_max`).
BatchLayout layout_for(std::uint64_t payload_bytes) noexcept;

/// What the first sector of a batch holds.
enum class HeadState : std::uint8_t {
  valid,
  zero,         // every byte of the sector is zero
  no_magic,     // not written by a journal
  damaged,      // its CRC does not match, or its fields contradict each other
  unsupported,  // intact, of another format version
};

/// `sector`: at least 192 bytes; 512 for `zero` to be told from `no_magic`.
HeadState parse_head(ByteView sector, BatchHead& into) noexcept;

/// SHA-256 over head and table; `header` is `header_bytes` long.
Sha256 header_hash(ByteView header);

/// What the first batch of a journal has as `previous`.
Sha256 genesis_hash(const Uuid& journal);

bool all_zero(ByteView bytes) noexcept;

/// What a whole batch, its head already found valid, shows when every byte is checked.
struct BatchCheck {
  enum class State : std::uint8_t {
    intact,
    torn,     // each mismatching block has a sector of header or payload bytes still zero
    damaged,  // a block mismatches without such a sector, or the payload hash does not match
  };
  State state = State::intact;
  std::uint64_t at = 0;     // offset in the batch of the first block that does not match
  std::string_view what{};  // "block CRC", "table CRC", "payload hash"
};

BatchCheck check_batch(const BatchHead& head, ByteView batch);

inline ByteView payload_of(const BatchHead& head, ByteView batch) noexcept {
  return batch.subspan(head.header_bytes, head.payload_bytes);
}

/// Where in the journal a batch goes.
struct BatchPlace {
  Uuid journal;
  std::uint32_t epoch = 0;
  std::uint64_t first_sequence = 0;
  Sha256 previous{};
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  std::int64_t committed_ns = 0;
};

/// One batch in block-aligned memory, reused: begin → fill the payload, in place or by `append` →
/// finish. One thread at a time. Grows to the largest batch it has held and does not allocate after
/// that.
class BatchBuffer {
 public:
  explicit BatchBuffer(std::size_t capacity = block_bytes);
  ~BatchBuffer();
  BatchBuffer(BatchBuffer&&) noexcept;
  BatchBuffer& operator=(BatchBuffer&&) noexcept;

  /// Lays out a batch of exactly so many payload bytes and returns where they are to be written.
  MutableBytes begin(std::size_t payload_bytes, std::uint32_t records, std::uint16_t flags = 0);
  /// Copies the next bytes of the payload, and hashes what is whole while it is in the cache.
  void append(ByteView bytes);
  /// Hashes the payload. `finish` does so if this was not called; calling it earlier moves that
  /// work to another time or thread.
  void digest();
  /// Writes head and table. Returns the header's hash. May be called again with another place.
  Sha256 finish(const BatchPlace& place);

  /// The whole batch, a multiple of 4 KiB.
  ByteView bytes() const noexcept;
  ByteView payload() const noexcept;
  std::uint32_t records() const noexcept { return records_; }
  std::size_t capacity() const noexcept { return memory_.size(); }

 private:
  void reserve(std::size_t bytes);

  BlockMemory memory_;
  LeafDigest digest_;
  BatchLayout layout_;
  std::size_t payload_bytes_ = 0;
  std::size_t appended_ = 0;
  std::size_t hashed_ = 0;
  std::uint32_t records_ = 0;
  std::uint16_t flags_ = 0;
  bool digested_ = false;
  Sha256 payload_hash_{};
};

}  // namespace trialwire::journal
