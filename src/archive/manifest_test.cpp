// SPDX-License-Identifier: Apache-2.0
#include "archive/manifest.hpp"

#include <gtest/gtest.h>

#include "archive/layout.hpp"

namespace trialwire::archive {
namespace {

const Uuid journal_id = *Uuid::parse("6f1c9e52-0d7a-4b6e-9a53-4f0f5f6d8a10");

Sha256 hash_of(std::uint8_t byte) {
  Sha256 hash{};
  hash.fill(byte);
  return hash;
}

Manifest example() {
  Manifest manifest{.journal = journal_id};
  manifest.segment = {.number = 12,
                      .first_sequence = 100,
                      .next_sequence = 151,
                      .batches = 7,
                      .records = 51,
                      .payload_bytes = 4'711,
                      .chain_head = hash_of(2)};
  manifest.chain_before = hash_of(1);
  manifest.first_committed_ns = 1'700'000'000'000'000'000;
  manifest.last_committed_ns = 1'700'000'001'000'000'000;
  manifest.earliest_received_ns = 1'699'999'999'000'000'000;
  manifest.latest_received_ns = 1'700'000'000'999'000'000;
  manifest.sealed_ns = 1'700'000'002'000'000'000;
  manifest.archived_ns = 1'700'000'003'000'000'000;
  manifest.raw_bytes = 65'536;
  manifest.raw_sha256 = hash_of(3);
  manifest.stored_bytes = 9'000;
  manifest.stored_sha256 = hash_of(4);
  manifest.seal = "trialwire-seal 1\njournal \"x\"\n";
  manifest.key = journal::to_hex(hash_of(5));
  manifest.gaps.push_back({.segment = 11,
                           .offset = 0,
                           .bytes = 65'536,
                           .lost_from = 90,
                           .resume_sequence = 100,
                           .resume_previous = hash_of(1)});
  return manifest;
}

TEST(ManifestTest, IsReadAsItWasWritten) {
  const std::string text = manifest_text(example());
  const auto read = parse_manifest(text);
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(manifest_text(*read), text);
  EXPECT_EQ(read->segment, example().segment);
  EXPECT_EQ(read->seal, example().seal);
  ASSERT_EQ(read->gaps.size(), 1U);
  EXPECT_EQ(read->gaps.front().resume_previous, hash_of(1));
}

TEST(ManifestTest, NoChangedByteGoesUnseen) {
  const std::string text = manifest_text(example());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(parse_manifest(changed)) << "byte " << i;
  }
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(parse_manifest(std::string_view(text).substr(0, length)));
  }
  EXPECT_FALSE(parse_manifest(text + "\n"));
}

TEST(ManifestTest, AFieldThatIsMissingOrWrongIsCorrupt) {
  const auto without = [](std::string_view field) {
    Manifest manifest = example();
    std::string text = manifest_text(manifest);
    const std::size_t at = text.find(field);
    EXPECT_NE(at, std::string::npos);
    text = text.substr(2, text.find(",\n\"crc32c\"") - 2);
    text.replace(at - 2, field.size(), "\"other\"");
    return parse_manifest(with_checksum(text));
  };
  EXPECT_TRUE(parse_manifest(manifest_text(example())));
  for (const char* field : {"\"format\"", "\"journalId\"", "\"chainHead\"", "\"raw\"", "\"gaps\"",
                            "\"sealedAt\"", "\"records\""}) {
    const auto read = without(field);
    ASSERT_FALSE(read) << field;
    EXPECT_EQ(read.error().code, ErrorCode::corrupt);
  }
}

TEST(ManifestTest, AKeyThatIsNoFingerprintAndATimeThatIsNotAsWrittenAreCorrupt) {
  const auto with = [](std::string_view what, std::string_view instead) {
    std::string text = manifest_text(example());
    text = text.substr(2, text.find(",\n\"crc32c\"") - 2);
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return parse_manifest(with_checksum(text.replace(at, what.size(), instead)));
  };
  const std::string key = example().key;
  EXPECT_TRUE(with(key, journal::to_hex(hash_of(6))));
  for (const char* wrong : {"", "abc", "../../signing", "a\\\"b"}) {
    const auto read = with(key, wrong);
    ASSERT_FALSE(read) << wrong;
    EXPECT_EQ(read.error().code, ErrorCode::corrupt);
  }
  const std::string sealed = "2023-11-14T22:13:22.000Z";
  EXPECT_TRUE(with(sealed, "2023-11-14T22:13:22.001Z"));
  for (const char* wrong :
       {"2023-11-14T22:13:22Z", "2023-11-14T22:13:22.000z", "2023-11-14T23:13:22.000+01:00",
        "2261-12-31T23:59:59.000-23:59", "2261-12-31T23:59:60.000Z"}) {
    EXPECT_FALSE(with(sealed, wrong)) << wrong;
  }
}

TEST(MarkTest, IsReadAsItWasWrittenAndOnlyAsItsKind) {
  const ChainMark mark{.journal = journal_id,
                       .segment = 3,
                       .sequence = 77,
                       .chain = hash_of(9),
                       .written_ns = 1'700'000'000'000'000'000};
  const std::string text = mark_text(MarkKind::begin, mark);
  const auto read = parse_mark(MarkKind::begin, text);
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(read->segment, 3U);
  EXPECT_EQ(read->sequence, 77U);
  EXPECT_EQ(read->chain, hash_of(9));
  EXPECT_FALSE(parse_mark(MarkKind::expired, text));
}

TEST(LayoutTest, ANumberIsReadFromItsOneName) {
  EXPECT_EQ(manifest_object(journal_id, 12),
            "segments/6f1c9e52-0d7a-4b6e-9a53-4f0f5f6d8a10/000000000000000c.json");
  EXPECT_EQ(number_of(journal_id, manifest_object(journal_id, 12)), 12U);
  EXPECT_EQ(number_of(journal_id, segment_object(journal_id, 12)), std::nullopt);
  EXPECT_EQ(number_of(journal_id, segment_object(journal_id, 12), ".zst"), 12U);
  EXPECT_EQ(number_of(journal_id, journal_prefix(journal_id) + "c.json"), std::nullopt);
  EXPECT_EQ(number_of(journal_id, begin_object(journal_id)), std::nullopt);
  EXPECT_EQ(number_of(Uuid::random(), manifest_object(journal_id, 12)), std::nullopt);
}

}  // namespace
}  // namespace trialwire::archive
