// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/message.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "journal/format.hpp"
#include "storage/kafka/test_records.hpp"

namespace trialwire::storage::kafka {
namespace {

const Uuid journal_id = *Uuid::parse("6f1c9e52-0d7a-4b6e-9a53-4f0f5f6d8a10");

class MessageTest : public testing::Test {
 protected:
  std::string header(const Message& message, std::string_view name) {
    auto found = std::ranges::find(message.headers, name, &Header::name);
    return found == message.headers.end() ? "(none)" : std::string(found->value);
  }
  MessageEncoder json{ValueForm::json,
                      test::word_mappers(),
                      {{journal::RecordKind::qol_answer, "trialwire.qol_answer"}}};
  MessageEncoder original{ValueForm::original,
                          test::word_mappers(),
                          {{journal::RecordKind::qol_answer, "trialwire.qol_answer"}}};
  test::Records records{journal_id};
};

TEST_F(MessageTest, has_key_json_and_headers_of_its_record) {
  journal::Record& record = records.add("P-1 7");
  record.attributes.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const Message& message = json.encode(record);
  EXPECT_EQ(json.topics().at(message.topic), "trialwire.qol_answer");
  EXPECT_EQ(message.key, "P-1");
  const std::string id = record_id({journal_id, 3, 1, record.attributes.received_ns}).text();
  EXPECT_EQ(message.value, R"({"recordId":")" + id + R"(","sequence":1,"journalId":")" +
                               journal_id.text() +
                               R"(","receivedAt":"2026-03-01T07:15:30.250Z",)"
                               R"("patient_id":"P-1","answer":7})");
  EXPECT_EQ(header(message, "record_id"), id);
  EXPECT_EQ(header(message, "journal_id"), journal_id.text());
  EXPECT_EQ(header(message, "sequence"), "1");
  EXPECT_EQ(header(message, "kind"), "qol_answer");
  EXPECT_EQ(header(message, "content_type"), "application/json");
  EXPECT_EQ(header(message, "received_at"), "2026-03-01T07:15:30.250Z");
  EXPECT_EQ(header(message, "traceparent"), record.attributes.traceparent);
  EXPECT_EQ(header(message, "attributes"), "(none)");
}

TEST_F(MessageTest, original_bytes_come_with_all_that_the_journal_knows_of_them) {
  journal::Record& record = records.add("P-1 7");
  record.attributes.content_type = journal::ContentType::json_legacy;
  record.attributes.identity = {1, 2};
  record.attributes.content_hash = 3;
  record.attributes.flags = 4;
  record.attributes.principal = "nurse";
  record.attributes.origin = "http 127.0.0.1:5123";
  record.attributes.submission = journal_id;
  record.attributes.submission_index = 5;
  record.attributes.submission_count = 6;
  const Message& message = original.encode(record);
  EXPECT_EQ(message.value, "P-1 7");
  EXPECT_EQ(message.key, "P-1");
  EXPECT_EQ(header(message, "content_type"), "application/vnd.trialwire.legacy+json");
  EXPECT_EQ(header(message, "epoch"), "3");
  const std::string attributes = header(message, "attributes");
  journal::Record decoded;
  ASSERT_EQ(journal::decode_record(as_bytes(attributes), decoded), attributes.size());
  EXPECT_TRUE(decoded.bytes.empty());
  EXPECT_EQ(decoded.attributes.identity, record.attributes.identity);
  EXPECT_EQ(decoded.attributes.principal, "nurse");
  EXPECT_EQ(decoded.attributes.flags, 4);
  EXPECT_EQ(decoded.attributes.submission, journal_id);
  EXPECT_EQ(decoded.attributes.submission_index, 5U);
  EXPECT_EQ(decoded.attributes.submission_count, 6U);
  EXPECT_EQ(decoded.attributes.key_hash, record.attributes.key_hash);
}

TEST_F(MessageTest, what_cannot_be_decoded_has_no_key) {
  const Message& message = original.encode(records.add("nothing"));
  EXPECT_EQ(message.key, "");
  EXPECT_EQ(message.value, "nothing");
  EXPECT_EQ(json.encode(records.add("nothing")).value.find("undecodable") == std::string_view::npos,
            false);
}

TEST_F(MessageTest, kinds_without_mapper_or_topic_are_not_sent) {
  journal::Record& record = records.add("P-1 7");
  EXPECT_TRUE(json.takes(record));
  record.attributes.kind = journal::RecordKind::audit;
  EXPECT_FALSE(json.takes(record));
  MessageEncoder none(ValueForm::json, test::word_mappers(),
                      {{journal::RecordKind::vital_sign, "vitals"}});
  EXPECT_FALSE(none.takes(records.add("P-1 7")));
  EXPECT_TRUE(none.topics().empty());
}

TEST_F(MessageTest, kinds_and_names_are_found_by_each_other) {
  EXPECT_EQ(kind_named("vital_sign"), journal::RecordKind::vital_sign);
  EXPECT_EQ(name_of(journal::RecordKind::project_created), "project_created");
  EXPECT_EQ(kind_named("vitals"), std::nullopt);
}

}  // namespace
}  // namespace trialwire::storage::kafka
