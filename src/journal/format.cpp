// SPDX-License-Identifier: Apache-2.0
#include "journal/format.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "base/sha256_pair.hpp"

namespace trialwire::journal {
namespace {

// Not valid UTF-8, with a control character: no JSON body can contain the start of a batch.
constexpr std::array<std::uint8_t, 8> magic{0x89, 'T', 'W', 'J', '\r', '\n', 0x1a, '\n'};

enum class Tag : std::uint8_t { principal = 1, origin = 2, traceparent = 3, submission = 4 };
constexpr std::size_t submission_bytes = 24;

// Offsets in the fixed head.
constexpr std::size_t at_version = 8, at_flags = 10, at_epoch = 12, at_journal = 16,
                      at_first_sequence = 32, at_records = 40, at_blocks = 44,
                      at_payload_bytes = 48, at_header_bytes = 56, at_table_crc = 60,
                      at_payload_hash = 64, at_previous = 96, at_segment = 128, at_offset = 136,
                      at_committed = 144, at_reserved = 152, at_head_crc = 188;

constexpr std::size_t align_up(std::size_t value, std::size_t to) noexcept {
  return (value + to - 1) / to * to;
}

std::size_t text_size(std::string_view text) noexcept {
  return text.empty() ? 0 : 2 + std::min(text.size(), attribute_text_max);
}

std::size_t attribute_bytes(const RecordAttributes& attributes) noexcept {
  return text_size(attributes.principal) + text_size(attributes.origin) +
         text_size(attributes.traceparent) +
         (attributes.submission == Uuid{} ? 0 : 2 + submission_bytes);
}

std::byte* put_text(std::byte* to, Tag tag, std::string_view text) noexcept {
  if (text.empty()) return to;
  const std::size_t size = std::min(text.size(), attribute_text_max);
  to[0] = static_cast<std::byte>(tag);
  to[1] = static_cast<std::byte>(size);
  std::memcpy(to + 2, text.data(), size);
  return to + 2 + size;
}

bool take_attribute(Tag tag, ByteView value, RecordAttributes& into) noexcept {
  switch (tag) {
    case Tag::principal:
      into.principal = as_text(value);
      return true;
    case Tag::origin:
      into.origin = as_text(value);
      return true;
    case Tag::traceparent:
      into.traceparent = as_text(value);
      return true;
    case Tag::submission:
      if (value.size() != submission_bytes) return false;
      std::memcpy(into.submission.bytes.data(), value.data(), 16);
      into.submission_index = load_le<std::uint32_t>(value.data() + 16);
      into.submission_count = load_le<std::uint32_t>(value.data() + 20);
      return true;
  }
  return false;
}

bool known_kind(std::uint8_t kind) noexcept {
  return kind >= static_cast<std::uint8_t>(RecordKind::epro_report) &&
         kind <= static_cast<std::uint8_t>(RecordKind::project_created);
}

bool known_content_type(std::uint8_t type) noexcept {
  return type >= static_cast<std::uint8_t>(ContentType::json) &&
         type <= static_cast<std::uint8_t>(ContentType::protobuf);
}

}  // namespace

std::size_t encoded_size(const Record& record) noexcept {
  return align_up(record_fixed_bytes + attribute_bytes(record.attributes) + record.bytes.size(),
                  record_alignment);
}

std::size_t encode_record(const Record& record, std::byte* to) noexcept {
  const RecordAttributes& a = record.attributes;
  const std::size_t attributes = attribute_bytes(a);
  const std::size_t length = record_fixed_bytes + attributes + record.bytes.size();
  const std::size_t stride = align_up(length, record_alignment);
  store_le<std::uint64_t>(to + stride - 8, 0);  // the padding; overwritten where there is none
  store_le(to, static_cast<std::uint32_t>(length));
  to[4] = static_cast<std::byte>(a.kind);
  to[5] = static_cast<std::byte>(a.content_type);
  to[6] = static_cast<std::byte>(a.flags);
  to[7] = std::byte{0};
  store_le(to + 8, a.received_ns);
  store_le(to + 16, a.identity.low);
  store_le(to + 24, a.identity.high);
  store_le(to + 32, a.content_hash);
  store_le(to + 40, static_cast<std::uint32_t>(attributes));  // u16, then two reserved bytes
  store_le(to + 44, a.key_hash);
  std::byte* at = to + record_fixed_bytes;
  at = put_text(at, Tag::principal, a.principal);
  at = put_text(at, Tag::origin, a.origin);
  at = put_text(at, Tag::traceparent, a.traceparent);
  if (a.submission != Uuid{}) {
    at[0] = static_cast<std::byte>(Tag::submission);
    at[1] = static_cast<std::byte>(submission_bytes);
    std::memcpy(at + 2, a.submission.bytes.data(), 16);
    store_le(at + 18, a.submission_index);
    store_le(at + 22, a.submission_count);
    at += 2 + submission_bytes;
  }
  if (!record.bytes.empty()) std::memcpy(at, record.bytes.data(), record.bytes.size());
  return stride;
}

std::size_t decode_record(ByteView payload, Record& into) noexcept {
  if (payload.size() < record_fixed_bytes) return 0;
  const std::byte* at = payload.data();
  const std::size_t length = load_le<std::uint32_t>(at);
  const std::uint32_t attributes = load_le<std::uint32_t>(at + 40);
  if (length > payload.size() || length < record_fixed_bytes ||
      attributes > length - record_fixed_bytes || attributes > 0xffff) {
    return 0;
  }
  const std::size_t stride = align_up(length, record_alignment);
  const auto kind = std::to_integer<std::uint8_t>(at[4]);
  const auto content_type = std::to_integer<std::uint8_t>(at[5]);
  if (stride > payload.size() || !known_kind(kind) || !known_content_type(content_type) ||
      at[7] != std::byte{0}) {
    return 0;
  }
  RecordAttributes& a = into.attributes;
  a = {};
  a.kind = static_cast<RecordKind>(kind);
  a.content_type = static_cast<ContentType>(content_type);
  a.flags = std::to_integer<std::uint8_t>(at[6]);
  a.received_ns = load_le<std::int64_t>(at + 8);
  a.identity = {load_le<std::uint64_t>(at + 16), load_le<std::uint64_t>(at + 24)};
  a.content_hash = load_le<std::uint64_t>(at + 32);
  a.key_hash = load_le<std::uint32_t>(at + 44);
  ByteView left = payload.subspan(record_fixed_bytes, attributes);
  while (!left.empty()) {
    if (left.size() < 2) return 0;
    const auto size = std::to_integer<std::size_t>(left[1]);
    if (size > left.size() - 2) return 0;
    const auto tag = static_cast<Tag>(std::to_integer<std::uint8_t>(left[0]));
    if (!take_attribute(tag, left.subspan(2, size), a)) return 0;
    left = left.subspan(2 + size);
  }
  into.bytes =
      payload.subspan(record_fixed_bytes + attributes, length - record_fixed_bytes - attributes);
  return stride;
}

BatchLayout layout_for(std::uint64_t payload_bytes) noexcept {
  // Each block adds four bytes of table: the fixed point is reached in at most three steps.
  std::uint64_t blocks = 1;
  while (true) {
    const std::uint64_t header = align_up(head_bytes + 4 * blocks, record_alignment);
    const std::uint64_t needed = (header + payload_bytes + block_bytes - 1) / block_bytes;
    if (needed <= blocks) {
      return {static_cast<std::uint32_t>(blocks), static_cast<std::uint32_t>(header)};
    }
    blocks = needed;
  }
}

HeadState parse_head(ByteView sector, BatchHead& into) noexcept {
  TW_CHECK(sector.size() >= head_bytes);
  const std::byte* at = sector.data();
  if (std::memcmp(at, magic.data(), magic.size()) != 0) {
    const bool zero = all_zero(sector.first(std::min(sector.size(), sector_bytes)));
    return zero ? HeadState::zero : HeadState::no_magic;
  }
  if (crc32c(sector.first(at_head_crc)) != load_le<std::uint32_t>(at + at_head_crc)) {
    return HeadState::damaged;
  }
  into.version = load_le<std::uint16_t>(at + at_version);
  if (into.version != format_version) return HeadState::unsupported;
  into.flags = load_le<std::uint16_t>(at + at_flags);
  into.epoch = load_le<std::uint32_t>(at + at_epoch);
  std::memcpy(into.journal.bytes.data(), at + at_journal, 16);
  into.first_sequence = load_le<std::uint64_t>(at + at_first_sequence);
  into.records = load_le<std::uint32_t>(at + at_records);
  into.blocks = load_le<std::uint32_t>(at + at_blocks);
  into.payload_bytes = load_le<std::uint64_t>(at + at_payload_bytes);
  into.header_bytes = load_le<std::uint32_t>(at + at_header_bytes);
  into.table_crc = load_le<std::uint32_t>(at + at_table_crc);
  std::memcpy(into.payload_hash.data(), at + at_payload_hash, 32);
  std::memcpy(into.previous.data(), at + at_previous, 32);
  into.segment = load_le<std::uint64_t>(at + at_segment);
  into.offset = load_le<std::uint64_t>(at + at_offset);
  into.committed_ns = load_le<std::int64_t>(at + at_committed);
  if (into.payload_bytes > payload_bytes_max || into.first_sequence == 0 ||
      into.first_sequence >> 62 != 0 ||
      std::uint64_t{into.records} * record_fixed_bytes > into.payload_bytes) {
    return HeadState::damaged;
  }
  const BatchLayout layout = layout_for(into.payload_bytes);
  const bool consistent = layout.blocks == into.blocks && layout.header_bytes == into.header_bytes;
  return consistent ? HeadState::valid : HeadState::damaged;
}

Sha256 header_hash(ByteView header) {
  return sha256(header);
}

Sha256 genesis_hash(const Uuid& journal) {
  Sha256Hasher hasher;
  hasher.begin();
  hasher.update(as_bytes("trialwire journal"));
  hasher.update(std::as_bytes(std::span(journal.bytes)));
  return hasher.finish();
}

bool all_zero(ByteView bytes) noexcept {
  if (bytes.empty()) return true;
  // Comparing with itself, one byte on: memcmp is faster than any loop that can be written here.
  return bytes[0] == std::byte{0} &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

namespace {

/// Calls `each(block index, CRC32C of the block without its header bytes)`.
template <typename Each>
void for_each_block_crc(ByteView batch, std::size_t header_bytes, Each each) {
  const std::size_t blocks = batch.size() / block_bytes;
  const std::size_t header_blocks = align_up(header_bytes, block_bytes) / block_bytes;
  for (std::size_t i = 0; i < header_blocks; ++i) {
    const std::size_t from = std::min(header_bytes, (i + 1) * block_bytes);
    each(i, crc32c(batch.subspan(from, (i + 1) * block_bytes - from)));
  }
  for (std::size_t i = header_blocks; i < blocks; ++i) {
    each(i, crc32c(batch.subspan(i * block_bytes, block_bytes)));
  }
}

/// Is there, in [from, to) of the batch, a sector that overlaps it and is zero as a whole?
bool has_zero_sector(ByteView batch, std::size_t from, std::size_t to) noexcept {
  for (std::size_t at = from / sector_bytes * sector_bytes; at < to; at += sector_bytes) {
    if (all_zero(batch.subspan(at, sector_bytes))) return true;
  }
  return false;
}

}  // namespace

BatchCheck check_batch(const BatchHead& head, ByteView batch) {
  TW_CHECK(batch.size() == head.bytes());
  using State = BatchCheck::State;
  const ByteView table = batch.subspan(head_bytes, head.header_bytes - head_bytes);
  if (crc32c(table) != head.table_crc) {
    const bool torn =
        head.header_bytes > sector_bytes && has_zero_sector(batch, sector_bytes, head.header_bytes);
    return {torn ? State::torn : State::damaged, 0, "table CRC"};
  }
  BatchCheck check;
  const std::size_t payload_end = head.header_bytes + head.payload_bytes;
  for_each_block_crc(batch, head.header_bytes, [&](std::size_t i, std::uint32_t crc) {
    if (crc == load_le<std::uint32_t>(table.data() + 4 * i)) return;
    const std::size_t from = std::max<std::size_t>(i * block_bytes, head.header_bytes);
    const std::size_t to = std::min((i + 1) * block_bytes, payload_end);
    const State state = has_zero_sector(batch, from, to) ? State::torn : State::damaged;
    if (state > check.state) check = {state, i * block_bytes, "block CRC"};
  });
  if (check.state != State::intact) return check;
  thread_local LeafDigest hasher;
  const bool same = hasher.digest(payload_of(head, batch)) == head.payload_hash;
  return same ? check : BatchCheck{State::damaged, 0, "payload hash"};
}

BatchBuffer::BatchBuffer(std::size_t capacity) {
  reserve(capacity);
}
BatchBuffer::~BatchBuffer() = default;
BatchBuffer::BatchBuffer(BatchBuffer&&) noexcept = default;
BatchBuffer& BatchBuffer::operator=(BatchBuffer&&) noexcept = default;

void BatchBuffer::reserve(std::size_t bytes) {
  if (bytes > memory_.size()) memory_ = BlockMemory(bytes);
}

MutableBytes BatchBuffer::begin(std::size_t payload_bytes, std::uint32_t records,
                                std::uint16_t flags) {
  TW_CHECK(payload_bytes <= payload_bytes_max);
  layout_ = layout_for(payload_bytes);
  payload_bytes_ = payload_bytes;
  records_ = records;
  flags_ = flags;
  appended_ = 0;
  hashed_ = 0;
  digest_.begin();
  digested_ = false;
  const std::size_t total = std::size_t{layout_.blocks} * block_bytes;
  reserve(total);
  std::byte* at = memory_.data();
  std::memset(at, 0, layout_.header_bytes);
  const std::size_t end = layout_.header_bytes + payload_bytes;
  std::memset(at + end, 0, total - end);
  return {at + layout_.header_bytes, payload_bytes};
}

void BatchBuffer::append(ByteView bytes) {
  constexpr std::size_t piece_bytes = 8 << 10;
  TW_CHECK(bytes.size() <= payload_bytes_ - appended_);
  std::byte* payload_at = memory_.data() + layout_.header_bytes;
  while (!bytes.empty()) {
    const ByteView piece = bytes.first(std::min(piece_bytes, bytes.size()));
    std::memcpy(payload_at + appended_, piece.data(), piece.size());
    appended_ += piece.size();
    bytes = bytes.subspan(piece.size());
    // The last leaves wait for `digest`, which must see at least one.
    if (appended_ - hashed_ > LeafDigest::group_bytes) {
      digest_.add_group({payload_at + hashed_, LeafDigest::group_bytes});
      hashed_ += LeafDigest::group_bytes;
    }
  }
}

void BatchBuffer::digest() {
  TW_CHECK(appended_ == 0 || appended_ == payload_bytes_);
  const ByteView whole = payload();
  payload_hash_ = appended_ != 0 ? digest_.finish(whole.subspan(hashed_)) : digest_.digest(whole);
  std::byte* table = memory_.data() + head_bytes;
  for_each_block_crc(bytes(), layout_.header_bytes,
                     [&](std::size_t i, std::uint32_t crc) { store_le(table + 4 * i, crc); });
  digested_ = true;
}

Sha256 BatchBuffer::finish(const BatchPlace& place) {
  if (!digested_) digest();
  std::byte* at = memory_.data();
  std::memcpy(at, magic.data(), magic.size());
  store_le(at + at_version, format_version);
  store_le(at + at_flags, flags_);
  store_le(at + at_epoch, place.epoch);
  std::memcpy(at + at_journal, place.journal.bytes.data(), 16);
  store_le(at + at_first_sequence, place.first_sequence);
  store_le(at + at_records, records_);
  store_le(at + at_blocks, layout_.blocks);
  store_le<std::uint64_t>(at + at_payload_bytes, payload_bytes_);
  store_le(at + at_header_bytes, layout_.header_bytes);
  store_le(at + at_table_crc, crc32c({at + head_bytes, layout_.header_bytes - head_bytes}));
  std::memcpy(at + at_payload_hash, payload_hash_.data(), 32);
  std::memcpy(at + at_previous, place.previous.data(), 32);
  store_le(at + at_segment, place.segment);
  store_le(at + at_offset, place.offset);
  store_le(at + at_committed, place.committed_ns);
  std::memset(at + at_reserved, 0, at_head_crc - at_reserved);
  store_le(at + at_head_crc, crc32c({at, at_head_crc}));
  return sha256({at, layout_.header_bytes});
}

ByteView BatchBuffer::bytes() const noexcept {
  return {memory_.data(), std::size_t{layout_.blocks} * block_bytes};
}

ByteView BatchBuffer::payload() const noexcept {
  return {memory_.data() + layout_.header_bytes, payload_bytes_};
}

}  // namespace trialwire::journal
