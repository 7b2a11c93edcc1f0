// SPDX-License-Identifier: Apache-2.0
#include "journal/format.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>

#include "journal/segment_scan.hpp"

namespace trialwire::journal {
namespace {

struct Owned {
  std::string principal, origin, traceparent, bytes;
  Record record;
};

Owned any_record() {
  Owned owned;
  owned.principal = *rc::gen::arbitrary<std::string>();
  owned.origin = *rc::gen::arbitrary<std::string>();
  owned.traceparent = *rc::gen::arbitrary<std::string>();
  owned.bytes = *rc::gen::arbitrary<std::string>();
  RecordAttributes& a = owned.record.attributes;
  a.kind = static_cast<RecordKind>(*rc::gen::inRange(1, 8));
  a.content_type = static_cast<ContentType>(*rc::gen::inRange(1, 4));
  a.flags = *rc::gen::arbitrary<std::uint8_t>();
  a.received_ns = *rc::gen::arbitrary<std::int64_t>();
  a.identity = {*rc::gen::arbitrary<std::uint64_t>(), *rc::gen::arbitrary<std::uint64_t>()};
  a.content_hash = *rc::gen::arbitrary<std::uint64_t>();
  a.key_hash = *rc::gen::arbitrary<std::uint32_t>();
  if (*rc::gen::arbitrary<bool>()) {
    a.submission = Uuid::random();
    a.submission_index = *rc::gen::arbitrary<std::uint32_t>();
    a.submission_count = *rc::gen::arbitrary<std::uint32_t>();
  }
  return owned;
}

std::vector<std::byte> encode(Owned& owned) {
  RecordAttributes& a = owned.record.attributes;
  a.principal = owned.principal;
  a.origin = owned.origin;
  a.traceparent = owned.traceparent;
  owned.record.bytes = as_bytes(owned.bytes);
  std::vector<std::byte> encoded(encoded_size(owned.record), std::byte{0xff});
  RC_ASSERT(encode_record(owned.record, encoded.data()) == encoded.size());
  return encoded;
}

RC_GTEST_PROP(RecordFormat, what_is_encoded_is_decoded_to_the_same, ()) {
  Owned owned = any_record();
  const std::vector<std::byte> encoded = encode(owned);
  RC_ASSERT(encoded.size() % record_alignment == 0U);
  Record decoded;
  RC_ASSERT(decode_record(encoded, decoded) == encoded.size());
  const RecordAttributes& a = owned.record.attributes;
  const RecordAttributes& b = decoded.attributes;
  RC_ASSERT(a.kind == b.kind);
  RC_ASSERT(a.content_type == b.content_type);
  RC_ASSERT(a.flags == b.flags);
  RC_ASSERT(a.received_ns == b.received_ns);
  RC_ASSERT(a.identity == b.identity);
  RC_ASSERT(a.content_hash == b.content_hash);
  RC_ASSERT(a.key_hash == b.key_hash);
  RC_ASSERT(a.principal == b.principal);
  RC_ASSERT(a.origin == b.origin);
  RC_ASSERT(a.traceparent == b.traceparent);
  RC_ASSERT(a.submission == b.submission);
  RC_ASSERT(a.submission_index == b.submission_index);
  RC_ASSERT(a.submission_count == b.submission_count);
  RC_ASSERT(as_text(decoded.bytes) == owned.bytes);
  const EncodedRecord in_place(encoded.data());
  RC_ASSERT(in_place.stride() == encoded.size());
  RC_ASSERT(in_place.identity() == a.identity);
  RC_ASSERT(in_place.content_hash() == a.content_hash);
  RC_ASSERT(in_place.received_ns() == a.received_ns);
}

RC_GTEST_PROP(RecordFormat, cut_short_or_changed_bytes_are_never_read_past, ()) {
  Owned owned = any_record();
  std::vector<std::byte> encoded = encode(owned);
  Record decoded;
  const auto cut = *rc::gen::inRange<std::size_t>(0, encoded.size());
  // A copy of its own size, so that AddressSanitizer sees each byte too far.
  const std::vector<std::byte> shorter(encoded.begin(), encoded.begin() + cut);
  RC_ASSERT(decode_record(shorter, decoded) == 0U);
  const auto at = *rc::gen::inRange<std::size_t>(0, encoded.size());
  encoded[at] ^= static_cast<std::byte>(*rc::gen::inRange(1, 256));
  RC_ASSERT(decode_record(encoded, decoded) <= encoded.size());
}

TEST(RecordFormat, attribute_texts_are_cut_at_255_bytes) {
  const std::string long_text(300, 'p');
  Record record;
  record.attributes.principal = long_text;
  std::vector<std::byte> encoded(encoded_size(record));
  encode_record(record, encoded.data());
  Record decoded;
  ASSERT_NE(decode_record(encoded, decoded), 0U);
  EXPECT_EQ(decoded.attributes.principal, long_text.substr(0, 255));
}

/// A finished batch of so many payload bytes that are not zero.
BatchBuffer batch_of(std::size_t payload_bytes) {
  BatchBuffer batch;
  const MutableBytes payload = batch.begin(payload_bytes, 0);
  for (std::size_t i = 0; i < payload.size(); ++i) {
    payload[i] = static_cast<std::byte>(i % 251 + 1);
  }
  batch.finish({.journal = Uuid::random(), .epoch = 3, .first_sequence = 7, .segment = 2});
  return batch;
}

RC_GTEST_PROP(BatchFormat, a_payload_appended_in_pieces_is_the_one_filled_in_place, ()) {
  std::vector<std::uint8_t> text(*rc::gen::inRange<std::size_t>(0, 40'000));
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<std::uint8_t>(i % 251);
  const ByteView payload = std::as_bytes(std::span(text));
  BatchBuffer in_place, in_pieces;
  std::ranges::copy(payload, in_place.begin(payload.size(), 1).begin());
  in_pieces.begin(payload.size(), 1);
  for (std::size_t at = 0; at < payload.size();) {
    const auto size = *rc::gen::inRange<std::size_t>(1, payload.size() - at + 1);
    in_pieces.append(payload.subspan(at, size));
    at += size;
  }
  const BatchPlace place{.epoch = 3, .first_sequence = 7, .segment = 2};
  RC_ASSERT(in_place.finish(place) == in_pieces.finish(place));
  RC_ASSERT(std::ranges::equal(in_place.bytes(), in_pieces.bytes()));
}

RC_GTEST_PROP(BatchFormat, an_untouched_batch_is_intact_and_any_flipped_bit_is_seen, ()) {
  const BatchBuffer batch = batch_of(*rc::gen::inRange<std::size_t>(0, 600'000));
  std::vector<std::byte> bytes(batch.bytes().begin(), batch.bytes().end());
  BatchHead head;
  RC_ASSERT(parse_head(bytes, head) == HeadState::valid);
  RC_ASSERT(head.bytes() == bytes.size());
  RC_ASSERT(check_batch(head, bytes).state == BatchCheck::State::intact);
  const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
  bytes[at] ^= static_cast<std::byte>(1 << *rc::gen::inRange(0, 8));
  if (at < head_bytes) {
    const HeadState state = parse_head(bytes, head);
    RC_ASSERT(state == HeadState::damaged || state == HeadState::no_magic);
  } else {
    const BatchCheck check = check_batch(head, bytes);
    RC_ASSERT(check.state == BatchCheck::State::damaged);
    RC_ASSERT(check.at <= at);
  }
}

RC_GTEST_PROP(BatchFormat, lost_sectors_that_held_something_show_as_torn, ()) {
  const BatchBuffer batch = batch_of(*rc::gen::inRange<std::size_t>(1'000, 600'000));
  std::vector<std::byte> bytes(batch.bytes().begin(), batch.bytes().end());
  BatchHead head;
  RC_ASSERT(parse_head(bytes, head) == HeadState::valid);
  const std::size_t end = head.header_bytes + head.payload_bytes;
  const std::size_t sectors = (end + sector_bytes - 1) / sector_bytes;
  const int lost = *rc::gen::inRange(1, 8);
  for (int i = 0; i < lost; ++i) {
    const auto sector = *rc::gen::inRange<std::size_t>(1, sectors);
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(sector * sector_bytes), sector_bytes,
                std::byte{0});
  }
  RC_ASSERT(check_batch(head, bytes).state == BatchCheck::State::torn);
}

TEST(BatchFormat, a_lone_record_takes_one_block_and_an_empty_batch_does_too) {
  EXPECT_EQ(layout_for(0).blocks, 1U);
  EXPECT_EQ(layout_for(3'896).blocks, 1U);
  EXPECT_EQ(layout_for(3'897).blocks, 2U);
  EXPECT_EQ(layout_for(4 << 20).blocks, 1026U);
}

TEST(BatchFormat, a_hash_that_does_not_match_whole_blocks_is_damage) {
  BatchBuffer batch;
  const MutableBytes payload = batch.begin(100, 0);
  std::ranges::fill(payload, std::byte{1});
  batch.digest();
  payload[0] = std::byte{2};
  // Head and CRCs say what `digest` saw; the CRC is set right, the hash is not.
  BatchBuffer other;
  const MutableBytes other_payload = other.begin(100, 0);
  std::ranges::fill(other_payload, std::byte{1});
  other_payload[0] = std::byte{2};
  other.finish({.first_sequence = 1});
  batch.finish({.first_sequence = 1});
  std::vector<std::byte> bytes(batch.bytes().begin(), batch.bytes().end());
  std::memcpy(bytes.data() + head_bytes, other.bytes().data() + head_bytes, 4);
  store_le(bytes.data() + 60, load_le<std::uint32_t>(other.bytes().data() + 60));
  store_le(bytes.data() + 188, crc32c(ByteView(bytes).first(188)));
  BatchHead head;
  ASSERT_EQ(parse_head(bytes, head), HeadState::valid);
  const BatchCheck check = check_batch(head, bytes);
  EXPECT_EQ(check.state, BatchCheck::State::damaged);
  EXPECT_EQ(check.what, "payload hash");
}

TEST(BatchFormat, fields_that_contradict_each_other_are_damage_though_the_crc_is_right) {
  const BatchBuffer batch = batch_of(100);
  const std::vector<std::byte> good(batch.bytes().begin(), batch.bytes().end());
  for (const std::size_t at : {32, 40, 44, 48, 56}) {
    std::vector<std::byte> bad = good;
    store_le<std::uint64_t>(bad.data() + at, 0xffff'ffff'ffff'ff00);
    store_le(bad.data() + 188, crc32c(ByteView(bad).first(188)));
    BatchHead head;
    EXPECT_EQ(parse_head(bad, head), HeadState::damaged) << "field at " << at;
  }
}

TEST(BatchFormat, a_payload_of_many_leaves_is_hashed_leaf_by_leaf_however_it_was_filled) {
  constexpr std::size_t leaf = LeafDigest::leaf_bytes;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, leaf - 1, leaf, leaf + 1, 2 * leaf,
                                 2 * leaf + 1, 3 * leaf, 9 * leaf, 10 * leaf, 15 * leaf + 77,
                                 16 * leaf, 16 * leaf + 1, 27 * leaf + 4'000, 48 * leaf}) {
    std::vector<std::byte> text(size);
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<std::byte>(i * 7 + i / 251);
    std::vector<std::byte> leaves;
    for (std::size_t at = 0; at == 0 || at < size; at += leaf) {
      const ByteView one = ByteView(text).subspan(at, std::min(leaf, size - at));
      const Sha256 hash = Sha256Hasher().digest(one);
      const ByteView bytes = std::as_bytes(std::span(hash));
      leaves.insert(leaves.end(), bytes.begin(), bytes.end());
    }
    Sha256 expected{};
    if (size <= leaf) {
      std::memcpy(expected.data(), leaves.data(), expected.size());
    } else {
      expected = Sha256Hasher().digest(leaves);
    }
    BatchBuffer in_place;
    std::ranges::copy(text, in_place.begin(size, 0).begin());
    in_place.finish({.first_sequence = 1});
    BatchBuffer appended;
    appended.begin(size, 0);
    for (std::size_t at = 0; at < size; at += 1'000) {
      appended.append(ByteView(text).subspan(at, std::min<std::size_t>(1'000, size - at)));
    }
    appended.finish({.first_sequence = 1});
    for (const BatchBuffer* batch : {&in_place, &appended}) {
      BatchHead head;
      ASSERT_EQ(parse_head(batch->bytes(), head), HeadState::valid);
      EXPECT_EQ(head.payload_hash, expected) << size;
      EXPECT_EQ(check_batch(head, batch->bytes()).state, BatchCheck::State::intact) << size;
    }
  }
}

TEST(BatchFormat, what_is_no_head_is_told_apart) {
  std::array<std::byte, sector_bytes> sector{};
  BatchHead head;
  EXPECT_EQ(parse_head(sector, head), HeadState::zero);
  sector[500] = std::byte{1};
  EXPECT_EQ(parse_head(sector, head), HeadState::no_magic);
}

TEST(BatchFormat, a_payload_with_another_number_of_records_than_the_head_says_does_not_decode) {
  Record record;
  std::vector<std::byte> one(encoded_size(record));
  encode_record(record, one.data());
  BatchHead head;
  head.payload_bytes = one.size();
  head.records = 1;
  EXPECT_TRUE(records_decode(head, one));
  head.records = 2;
  EXPECT_FALSE(records_decode(head, one));
}

TEST(BatchFormat, a_buffer_is_reused_for_larger_and_smaller_batches) {
  BatchBuffer batch;
  for (const std::size_t size : {100U, 100'000U, 10U}) {
    std::ranges::fill(batch.begin(size, 0), std::byte{7});
    batch.finish({.first_sequence = 1});
    BatchHead head;
    ASSERT_EQ(parse_head(batch.bytes(), head), HeadState::valid);
    EXPECT_EQ(check_batch(head, batch.bytes()).state, BatchCheck::State::intact);
  }
}

}  // namespace
}  // namespace trialwire::journal
