// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/dead_letter_store.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <deque>
#include <string>
#include <vector>

#include "storage/sql/sqlite/dead_letter_desk.hpp"
#include "support/journal_fixture.hpp"

namespace trialwire::storage::sqlite {
namespace {

using pipeline::RecordBatch;
using pipeline::Refusal;

class DeadLetterTest : public testing::Test {
 protected:
  journal::Record record(std::uint64_t sequence, const std::string& body, Uuid submission = {}) {
    journal::Record one;
    one.journal = journal_id;
    one.epoch = 3;
    one.sequence = sequence;
    one.bytes = as_bytes(bodies.emplace_back(body));
    auto& attributes = one.attributes;
    attributes.kind = journal::RecordKind::vital_sign;
    attributes.content_type = journal::ContentType::json_legacy;
    attributes.flags = 5;
    attributes.received_ns = 1'700'000'000'123'456'789;
    attributes.identity = {17, 0xfedcba9876543210};
    attributes.content_hash = 0xffffffffffffffff;
    attributes.key_hash = 0xdeadbeef;
    attributes.principal = "site-7";
    attributes.origin = "http 127.0.0.1:5123";
    attributes.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    attributes.submission = submission;
    if (submission != Uuid{}) {
      attributes.submission_index = static_cast<std::uint32_t>(sequence);
      attributes.submission_count = 2;
    }
    return one;
  }
  void put(std::vector<journal::Record> records, std::string_view reason = "column x refuses it",
           std::string_view sink = "postgres") {
    auto stored = store->store(
        records, {.sink = sink, .lane = 1, .text = reason, .at_ns = 1'700'000'001'000'000'000});
    ASSERT_TRUE(stored) << stored.error().text;
  }
  DeadLetterDesk desk() {
    auto opened = DeadLetterDesk::open(path);
    EXPECT_TRUE(opened) << opened.error().text;
    return std::move(*opened);
  }
  std::vector<std::string> seen(const LetterFilter& filter) {
    std::vector<std::string> lines;
    auto count = desk().each(filter, [&](const DeadLetter& letter) {
      lines.push_back(fmt::format("{} {} {} {} {}", letter.id, letter.sink, letter.record.sequence,
                                  letter_state_name(letter.state), letter.attempts));
    });
    EXPECT_TRUE(count);
    return lines;
  }
  std::uint64_t ask(std::vector<std::int64_t> ids) {
    auto asked = desk().ask_for(ids, {.by = "eva", .at_ns = 5});
    EXPECT_TRUE(asked) << asked.error().text;
    return asked.value_or(0);
  }
  std::uint64_t waiting(const std::string& sink) {
    auto found = store->waiting();
    EXPECT_TRUE(found) << found.error().text;
    return found && found->contains(sink) ? found->at(sink) : 0;
  }
  std::vector<std::uint64_t> next_asked() {
    EXPECT_TRUE(store->next_asked("postgres", unit));
    std::vector<std::uint64_t> sequences;
    for (const auto& one : unit.records()) sequences.push_back(one.sequence);
    return sequences;
  }

  journal::TemporaryDirectory directory;
  std::filesystem::path path = directory.path() / "deadletters.db";
  std::unique_ptr<pipeline::DeadLetters> store = make_dead_letters(path);
  std::deque<std::string> bodies;
  Uuid journal_id = Uuid::random();
  RecordBatch unit{1 << 20};
};

TEST_F(DeadLetterTest, a_letter_comes_back_whole_when_it_is_asked_for) {
  journal::Record sent = record(9, std::string("{\"a\":1}\0\xff", 9));
  put({sent});
  EXPECT_TRUE(next_asked().empty()) << "nobody asked for it";
  EXPECT_EQ(ask({1}), 1U);
  ASSERT_EQ(next_asked(), (std::vector<std::uint64_t>{9}));
  const journal::Record& back = unit.records()[0];
  EXPECT_EQ(back.journal, sent.journal);
  EXPECT_EQ(back.epoch, sent.epoch);
  EXPECT_EQ(as_text(back.bytes), as_text(sent.bytes));
  const auto& a = sent.attributes;
  const auto& b = back.attributes;
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.content_type, b.content_type);
  EXPECT_EQ(a.flags, b.flags);
  EXPECT_EQ(a.received_ns, b.received_ns);
  EXPECT_EQ(a.identity, b.identity);
  EXPECT_EQ(a.content_hash, b.content_hash);
  EXPECT_EQ(a.key_hash, b.key_hash);
  EXPECT_EQ(a.principal, b.principal);
  EXPECT_EQ(a.origin, b.origin);
  EXPECT_EQ(a.traceparent, b.traceparent);
  EXPECT_EQ(b.submission, Uuid{});
}

TEST_F(DeadLetterTest, the_file_is_for_its_owner_alone) {
  put({record(1, "x")});
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(DeadLetterTest, storing_again_adds_no_letter_but_an_attempt) {
  put({record(1, "x"), record(2, "y")});
  put({record(1, "x")}, "another reason");
  EXPECT_EQ(seen({}),
            (std::vector<std::string>{"1 postgres 1 waiting 2", "2 postgres 2 waiting 1"}));
  put({record(1, "x")}, "of another sink", "kafka");
  EXPECT_EQ(seen({.sink = "kafka"}), (std::vector<std::string>{"4 kafka 1 waiting 1"}));
}

TEST_F(DeadLetterTest, a_submission_is_asked_for_whole_and_comes_whole) {
  Uuid submission = Uuid::random();
  put({record(5, "x", submission), record(6, "y", submission)});
  put({record(7, "z")});
  EXPECT_EQ(ask({2}), 2U);
  EXPECT_EQ(next_asked(), (std::vector<std::uint64_t>{5, 6}));
  EXPECT_EQ(waiting("postgres"), 3U);
  ASSERT_TRUE(store->delivered(unit.records(), "postgres", 100));
  EXPECT_TRUE(next_asked().empty());
  EXPECT_EQ(waiting("postgres"), 1U);
  EXPECT_EQ(seen({}), (std::vector<std::string>{"3 postgres 7 waiting 1"}));
  EXPECT_EQ(seen({.state = LetterState::delivered}).size(), 2U);
}

TEST_F(DeadLetterTest, what_is_refused_again_waits_again_and_what_is_discarded_stays_so) {
  put({record(1, "x")});
  put({record(2, "y")});
  ask({1});
  auto discarded =
      desk().discard(std::vector<std::int64_t>{2}, {.by = "eva", .why = "a test device"});
  ASSERT_TRUE(discarded);
  put({record(1, "x")});
  put({record(2, "y")});
  EXPECT_EQ(seen({.every_state = true}),
            (std::vector<std::string>{"1 postgres 1 waiting 2", "2 postgres 2 discarded 2"}));
  EXPECT_EQ(waiting("postgres"), 1U);
  auto count = desk().each({.id = 2}, [](const DeadLetter& letter) {
    EXPECT_EQ(letter.decided_by, "eva");
    EXPECT_EQ(letter.decided_why, "a test device");
  });
  EXPECT_EQ(*count, 1U);
}

TEST_F(DeadLetterTest, what_was_delivered_is_asked_for_again_when_the_destination_went_back) {
  put({record(1, "a")});
  put({record(2, "b")});
  put({record(3, "c")}, "r", "mysql");
  ask({1, 3});
  EXPECT_EQ(next_asked(), (std::vector<std::uint64_t>{1}));
  ASSERT_TRUE(store->delivered(unit.records(), "postgres", 100));
  EXPECT_TRUE(next_asked().empty());
  EXPECT_EQ(store->ask_again("postgres").value_or(0), 1U);
  EXPECT_EQ(next_asked(), (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(store->ask_again("postgres").value_or(9), 0U);
  ASSERT_TRUE(store->delivered(unit.records(), "postgres", 100));
  EXPECT_TRUE(next_asked().empty()) << "what waits for an operator still does";
}

TEST_F(DeadLetterTest, what_was_delivered_is_kept_for_its_time_and_then_is_gone) {
  put({record(1, "early")});
  put({record(2, "late")});
  put({record(3, "waits")});
  put({record(4, "another sink's")}, "r", "mysql");
  ask({1, 2});
  for (const std::int64_t at_ns : {100, 200}) {
    ASSERT_EQ(next_asked().size(), 1U);
    ASSERT_TRUE(store->delivered(unit.records(), "postgres", at_ns));
  }
  EXPECT_EQ(store->forget_delivered("postgres", 100).value_or(9), 0U) << "not yet";
  EXPECT_EQ(store->forget_delivered("mysql", 1'000).value_or(9), 0U);
  EXPECT_EQ(store->forget_delivered("postgres", 101).value_or(9), 1U);
  EXPECT_EQ(seen({.every_state = true}),
            (std::vector<std::string>{"2 postgres 2 delivered 1", "3 postgres 3 waiting 1",
                                      "4 mysql 4 waiting 1"}));
  EXPECT_EQ(store->ask_again("postgres").value_or(9), 1U) << "what is kept comes again";
  EXPECT_EQ(store->forget_delivered("postgres", 1'000).value_or(9), 0U) << "it is asked for";
}

TEST_F(DeadLetterTest, very_many_are_forgotten_in_parts_and_no_unit_is_torn_apart) {
  const Uuid submission = Uuid::random();
  std::vector<journal::Record> records;
  for (std::uint64_t i = 1; i <= 1'002; ++i) {
    records.push_back(record(i, "x", i == 1'000 || i == 1'001 ? submission : Uuid{}));
  }
  put(records);
  ASSERT_TRUE(desk().ask_for_all("", {.by = "eva"}));
  for (std::int64_t at_ns = 1; !next_asked().empty(); ++at_ns) {
    ASSERT_TRUE(store->delivered(unit.records(), "postgres", at_ns));
  }
  EXPECT_EQ(store->forget_delivered("postgres", 10'000).value_or(0), 1'001U);
  EXPECT_EQ(store->forget_delivered("postgres", 10'000).value_or(0), 1U);
  EXPECT_EQ(store->forget_delivered("postgres", 10'000).value_or(9), 0U);
}

TEST_F(DeadLetterTest, a_file_of_the_first_schema_keeps_its_letters_and_their_time_begins_now) {
  put({record(1, "a")});
  put({record(2, "b")});
  ask({1});
  ASSERT_FALSE(next_asked().empty());
  ASSERT_TRUE(store->delivered(unit.records(), "postgres", 100));
  store = make_dead_letters(path);
  {
    auto database = Database::open_writer({.path = path});
    ASSERT_TRUE(
        database->execute("DROP INDEX dead_letters_delivered; "
                          "ALTER TABLE dead_letters DROP COLUMN delivered_ns; "
                          "PRAGMA user_version = 1"));
  }
  EXPECT_EQ(store->forget_delivered("postgres", 1'000).value_or(9), 0U);
  EXPECT_EQ(seen({.every_state = true}),
            (std::vector<std::string>{"1 postgres 1 delivered 1", "2 postgres 2 waiting 1"}));
  EXPECT_EQ(store->forget_delivered("postgres", INT64_MAX).value_or(9), 1U);
}

TEST_F(DeadLetterTest, a_decision_over_several_is_made_for_all_or_for_none) {
  put({record(1, "x")});
  put({record(2, "y")});
  auto unknown = desk().ask_for(std::vector<std::int64_t>{1, 9}, {.by = "eva"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
  EXPECT_TRUE(next_asked().empty());
  ask({1});
  auto again = desk().ask_for(std::vector<std::int64_t>{2, 1}, {.by = "eva"});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::conflict);
  EXPECT_EQ(*desk().ask_for_all("", {.by = "eva"}), 1U);
}

TEST_F(DeadLetterTest, the_number_of_those_that_wait_follows_what_the_desk_does) {
  put({record(1, "x")});
  EXPECT_EQ(waiting("postgres"), 1U);
  auto done = desk().discard(std::vector<std::int64_t>{1}, {.by = "eva", .why = "why"});
  ASSERT_TRUE(done);
  EXPECT_EQ(waiting("postgres"), 0U);
  put({record(2, "x")}, "of another sink", "kafka");
  EXPECT_EQ(waiting("kafka"), 1U);
  EXPECT_EQ(waiting("postgres"), 0U);
}

TEST_F(DeadLetterTest, a_file_that_is_none_is_refused_and_left_as_it_is) {
  journal::write_file(path, std::string(8192, 'x'));
  std::vector<journal::Record> one{record(1, "x")};
  auto stored = store->store(one, {.sink = "postgres"});
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().code, ErrorCode::corrupt);
  EXPECT_EQ(journal::read_file(path), std::string(8192, 'x'));
  std::filesystem::remove(path);
  EXPECT_TRUE(store->store(one, {.sink = "postgres"})) << "it goes on by itself";
}

TEST_F(DeadLetterTest, a_newer_schema_than_this_program_knows_is_refused_with_both_named) {
  put({record(1, "x")});
  store.reset();
  DatabaseOptions options;
  options.path = path;
  {
    auto database = Database::open_writer(options);
    ASSERT_TRUE(database->execute("PRAGMA user_version = 7"));
  }
  auto opened = open_dead_letters(path);
  ASSERT_FALSE(opened);
  EXPECT_TRUE(opened.error().text.contains("schema 7") && opened.error().text.contains("up to 2"))
      << opened.error().text;
}

TEST_F(DeadLetterTest, without_a_file_there_are_none) {
  auto opened = DeadLetterDesk::open(path);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::not_found);
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace trialwire::storage::sqlite
