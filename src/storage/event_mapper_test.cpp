// SPDX-License-Identifier: Apache-2.0
#include "storage/event_mapper.hpp"

#include <gtest/gtest.h>

#include <array>
#include <charconv>
#include <string>

namespace trialwire::storage {
namespace {

/// Decodes "PATIENT ANSWER"; all else is undecodable.
class WordRows final : public RowMapper {
 public:
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::qol_answer; }
  const RowTable& table() const noexcept override {
    static constexpr std::array<std::string_view, 4> columns{"patient_id", "answer", "timestamp_ns",
                                                             "visit_id"};
    static constexpr std::array<std::string_view, 2> flags{"early", "late"};
    static constexpr RowTable answers{"qol_answers", "qol_answer_identities", columns, "patient_id",
                                      flags};
    return answers;
  }
  bool map(const journal::Record& record, std::span<Value> row) override {
    std::string_view text = as_text(record.bytes);
    std::size_t space = text.find(' ');
    row[0] = text.substr(0, space);  // known, but not vouched for when the rest is not there
    row[2] = record.attributes.received_ns;
    if (space == std::string_view::npos) return false;
    std::int64_t answer = 0;
    std::from_chars(text.data() + space + 1, text.data() + text.size(), answer);
    row[1] = answer;
    return true;
  }
};

const Uuid journal_id = *Uuid::parse("6f1c9e52-0d7a-4b6e-9a53-4f0f5f6d8a10");

journal::Record record(std::string_view text) {
  journal::Record made;
  made.attributes.kind = journal::RecordKind::qol_answer;
  made.attributes.received_ns = 1'772'349'330'250'000'000;
  made.journal = journal_id;
  made.sequence = 812;
  made.epoch = 3;
  made.bytes = as_bytes(text);
  return made;
}

std::string members_of(const journal::Record& of) {
  RecordOrigin origin{journal_id, of.epoch, of.sequence, of.attributes.received_ns};
  return R"({"recordId":")" + record_id(origin).text() +
         R"(","sequence":812,"journalId":"6f1c9e52-0d7a-4b6e-9a53-4f0f5f6d8a10",)"
         R"("receivedAt":"2026-03-01T07:15:30.250Z")";
}

TEST(EventMapper,
     gives_the_records_fields_under_the_contracts_names_and_where_it_was_acknowledged) {
  EventMapper mapper(std::make_unique<WordRows>());
  auto answer = record("P-\"1 7");
  ASSERT_TRUE(mapper.read(answer));
  EXPECT_EQ(mapper.kind(), journal::RecordKind::qol_answer);
  EXPECT_EQ(mapper.key(), "P-\"1");
  std::string json = "before ";
  mapper.append_json(json);
  EXPECT_EQ(json, "before " + members_of(answer) + R"(,"patient_id":"P-\"1","answer":7})");
}

TEST(EventMapper, names_flags_and_leaves_out_what_is_not_there) {
  EventMapper mapper(std::make_unique<WordRows>());
  auto answer = record("P-1 0");
  answer.attributes.flags = 2 | 4;  // bit 2 has no name
  ASSERT_TRUE(mapper.read(answer));
  std::string json;
  mapper.append_json(json);
  EXPECT_EQ(json, members_of(answer) + R"(,"patient_id":"P-1","answer":0,"flags":["late"]})");
}

TEST(EventMapper, gives_what_cannot_be_decoded_no_key_and_no_fields) {
  EventMapper mapper(std::make_unique<WordRows>());
  auto good = record("P-1 7"), bad = record("P-2");
  ASSERT_TRUE(mapper.read(good));
  EXPECT_FALSE(mapper.read(bad));
  EXPECT_EQ(mapper.key(), "");
  std::string json;
  mapper.append_json(json);
  EXPECT_EQ(json, members_of(bad) + R"(,"flags":["undecodable"]})");
}

}  // namespace
}  // namespace trialwire::storage
