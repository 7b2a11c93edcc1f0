// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/group.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "storage/kafka/partition.hpp"
#include "storage/kafka/sink.hpp"
#include "storage/kafka/test_records.hpp"
#include "support/faulty_files.hpp"
#include "support/memory_store.hpp"
#include "support/mock_cluster.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::storage::kafka {
namespace {

using journal::Cursor;
using journal::Record;
using std::chrono::milliseconds;
using support::MockCluster;

constexpr std::chrono::seconds patience{60};  // a failing test's end, not a wait

const std::string topic = "trialwire.qol_answer";

/// A database as the sinks have them: rows and cursors in one step, a cursor only over the one that
/// the sink last saw.
class Database {
 public:
  struct Row {
    Uuid record;
    std::string bytes;
    Uuid partition;
  };

  class Sink final : public pipeline::Sink {
   public:
    explicit Sink(Database& database) : database_(database) {}
    std::string_view name() const noexcept override { return "database"; }
    Result<Cursor> durable_cursor(const Uuid& journal) override {
      std::lock_guard lock(database_.mutex_);
      if (database_.away_) return fail(ErrorCode::unavailable, "away");
      const auto found = database_.cursors_.find(journal);
      seen_ = found == database_.cursors_.end() ? 0 : found->second;
      return Cursor{journal, std::max<std::uint64_t>(seen_, 1)};
    }
    Result<void> deliver(std::span<const Record> records, const Cursor& cursor) override {
      std::lock_guard lock(database_.mutex_);
      if (database_.away_) return fail(ErrorCode::unavailable, "away");
      std::uint64_t& stored = database_.cursors_[cursor.journal];
      if (stored != seen_) return fail(ErrorCode::conflict, "another cursor");
      for (const Record& record : records) {
        if (as_text(record.bytes) == database_.refused_) {
          return fail(ErrorCode::invalid_argument, "refused");
        }
      }
      for (const Record& record : records) {
        database_.rows_.push_back({record_id({record.journal, record.epoch, record.sequence,
                                              record.attributes.received_ns}),
                                   std::string(as_text(record.bytes)), cursor.journal});
      }
      stored = seen_ = cursor.next_sequence;
      database_.changed_.notify_all();
      return {};
    }
    void reset() noexcept override {}

   private:
    Database& database_;
    std::uint64_t seen_ = 0;
  };

  void be_away(bool away) {
    std::lock_guard lock(mutex_);
    away_ = away;
  }
  /// The record with these bytes.
  void refuse(std::string bytes) {
    std::lock_guard lock(mutex_);
    refused_ = std::move(bytes);
  }
  void move_cursor(const Uuid& partition, std::uint64_t next) {
    std::lock_guard lock(mutex_);
    cursors_[partition] = next;
  }
  void forget_rows() {
    std::lock_guard lock(mutex_);
    rows_.clear();
  }
  void wait_for_rows(std::size_t count) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, patience, [&] { return rows_.size() >= count; }))
        << rows_.size();
  }
  /// As an operator would.
  void delete_cursor(const Uuid& partition) {
    std::lock_guard lock(mutex_);
    cursors_.erase(partition);
  }
  std::vector<Row> rows() const {
    std::lock_guard lock(mutex_);
    return rows_;
  }
  std::map<Uuid, std::uint64_t> cursors() const {
    std::lock_guard lock(mutex_);
    return cursors_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool away_ = false;
  std::string refused_;
  std::vector<Row> rows_;
  std::map<Uuid, std::uint64_t> cursors_;
};

class GroupTest : public testing::Test {
 protected:
  static constexpr int partitions = 4;

  GroupTest() {
    cluster_.make_topic(topic, partitions);
    static_cast<void>(files_.create_directory("/data"));
    options_.client.brokers = {cluster_.brokers()};
    options_.topics = {{journal::RecordKind::qol_answer, topic}};
    options_.session_timeout = milliseconds(6'000);
    options_.lane.batch_delay = milliseconds(1);
    options_.lane.delivery_interval = milliseconds(0);
    options_.lane.background = false;
    options_.lane.backoff = {.first = milliseconds(5), .cap = milliseconds(50)};
  }
  /// As a gateway: `count` answers more, of seven patients.
  void produce(std::size_t count, Uuid submission = {}) {
    SinkOptions options;
    options.producer.client.brokers = {cluster_.brokers()};
    options.producer.linger = milliseconds(1);
    options.value = ValueForm::original;
    options.topics = options_.topics;
    options.cursor_file = "/data/cursors/kafka.0";
    auto sink = make_sink(options, test::word_mappers(), files_, metrics_);
    records_.clear();
    for (std::size_t i = 0; i < count; ++i) {
      journal::Record& record =
          records_.add("P-" + std::to_string(i % 7) + " " + std::to_string(produced_++));
      record.attributes.submission = submission;
      record.attributes.submission_index = static_cast<std::uint32_t>(i);
      record.attributes.submission_count = static_cast<std::uint32_t>(count);
    }
    auto done = sink->deliver(records_.all(), records_.end());
    ASSERT_TRUE(done) << done.error().text;
  }
  std::unique_ptr<GroupMember> join() {
    auto member = std::make_unique<GroupMember>(
        options_, [this] { return std::make_unique<Database::Sink>(database_); }, metrics_);
    auto started = member->start();
    EXPECT_TRUE(started) << started.error().text;
    return member;
  }
  /// Each answer once, and those of a patient in order.
  void expect_each_once_in_order() {
    std::map<std::string, std::vector<int>> answers;
    std::vector<Uuid> ids;
    for (const Database::Row& row : database_.rows()) {
      ids.push_back(row.record);
      const std::size_t space = row.bytes.find(' ');
      answers[row.bytes.substr(0, space)].push_back(std::stoi(row.bytes.substr(space + 1)));
    }
    EXPECT_EQ(ids.size(), produced_);
    std::ranges::sort(ids);
    EXPECT_TRUE(std::ranges::adjacent_find(ids) == ids.end()) << "a record twice";
    for (const auto& [patient, numbers] : answers) {
      EXPECT_TRUE(std::ranges::is_sorted(numbers)) << patient;
    }
  }

  MockCluster cluster_;
  support::FaultyFiles files_{{}};
  telemetry::Registry metrics_;
  GroupOptions options_;
  Database database_;
  Uuid journal_ = Uuid::random();
  test::Records records_{journal_};
  std::size_t produced_ = 0;
};

TEST_F(GroupTest, every_message_becomes_its_gateways_record_once) {
  produce(100);
  auto member = join();
  database_.wait_for_rows(100);
  member->stop();
  expect_each_once_in_order();
  const Record& first = records_.all().front();
  const Uuid id = record_id({journal_, 3, first.sequence, first.attributes.received_ns});
  auto rows = database_.rows();
  EXPECT_TRUE(std::ranges::find(rows, id, &Database::Row::record) != rows.end())
      << "with the id that its sender was told";
  std::uint64_t messages = 0;
  for (const auto& [partition, next] : database_.cursors()) {
    if (next > 0) messages += next - 1;
  }
  EXPECT_EQ(messages, 100U) << "the cursors are the partitions' offsets";
}

TEST_F(GroupTest, members_share_the_partitions_and_nothing_is_stored_twice) {
  produce(100);
  auto first = join();
  database_.wait_for_rows(100);
  auto second = join();
  for (int i = 0; i < 5; ++i) {
    produce(100);
    database_.wait_for_rows(produced_);
  }
  first->stop();
  produce(100);
  database_.wait_for_rows(produced_);
  second->stop();
  expect_each_once_in_order();
}

TEST_F(GroupTest, a_database_that_is_away_is_waited_for) {
  database_.be_away(true);
  produce(20);
  auto member = join();
  std::string text;
  while (member->standing().partitions < partitions) std::this_thread::yield();
  EXPECT_EQ(member->standing().lanes, 0U);
  database_.be_away(false);
  database_.wait_for_rows(20);
  member->stop();
  expect_each_once_in_order();
}

TEST_F(GroupTest, what_another_member_stored_meanwhile_is_not_stored_again) {
  produce(7);
  auto member = join();
  database_.wait_for_rows(7);
  // Another one was faster with the next message of each partition: as after a pause of this one.
  for (const auto& [partition, next] : database_.cursors()) {
    database_.move_cursor(partition, std::max<std::uint64_t>(next, 1) + 1);
  }
  produce(7);
  produce(70);
  const std::size_t others = database_.cursors().size();
  database_.wait_for_rows(7 + 77 - others);
  member->stop();
  EXPECT_EQ(database_.rows().size(), 7U + 77U - others);
}

TEST_F(GroupTest, a_database_that_was_restored_gets_what_it_lacks) {
  produce(70);
  auto member = join();
  database_.wait_for_rows(70);
  member->stop();
  const auto before = database_.cursors();
  database_.forget_rows();
  std::size_t lacking = 0;
  for (const auto& [partition, next] : before) {
    if (next <= 5) continue;
    database_.move_cursor(partition, next - 4);
    lacking += 4;
  }
  ASSERT_GT(lacking, 0U);
  member = join();
  database_.wait_for_rows(lacking);
  produce(7);
  database_.wait_for_rows(lacking + 7);
  member->stop();
  EXPECT_EQ(database_.rows().size(), lacking + 7);
}

/// Records of several keys are in several partitions: each part is stored, or set aside, by itself.
TEST_F(GroupTest, of_a_submission_in_several_partitions_the_part_with_a_refused_one_is_set_aside) {
  support::MemoryStore letters;
  options_.lane.dead_letters = &letters;
  database_.refuse("P-3 3");
  produce(28, Uuid::random());  // seven patients, four answers each
  auto member = join();
  letters.wait_for([](const support::MemoryStore& now) { return !now.units.empty(); });
  const std::size_t aside = letters.units.front().size();
  ASSERT_LT(aside, 28U);
  EXPECT_EQ(aside % 4, 0U) << "all of this partition's patients";
  database_.wait_for_rows(28 - aside);
  std::map<std::string, int> stored;
  for (const Database::Row& row : database_.rows()) ++stored[row.bytes.substr(0, 3)];
  EXPECT_FALSE(stored.contains("P-3"));
  for (const auto& [patient, count] : stored) EXPECT_EQ(count, 4) << patient << ": part of a part";
  EXPECT_TRUE(metrics_.text().contains("\ntrialwire_sink_dead_letter_parts_total{"));
  member->stop();
  EXPECT_EQ(letters.units.size(), 1U);
}

/// A topic that was made anew has other messages where the cursor says that all is delivered.
TEST_F(GroupTest, a_cursor_beyond_the_end_stays_refused_when_the_topic_has_grown_past_it) {
  cluster_.make_topic("anew", 1);
  options_.topics = {{journal::RecordKind::qol_answer, "anew"}};
  produce(7);
  auto member = join();
  database_.wait_for_rows(7);
  member->stop();
  const auto cursors = database_.cursors();
  const auto cursor = std::ranges::find(cursors, 8U, [](const auto& each) { return each.second; });
  ASSERT_NE(cursor, cursors.end());
  const Uuid partition = cursor->first;
  database_.move_cursor(partition, 21);

  const auto refused = [&] {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!member->standing().lane_trouble.contains(partition.text()) &&
           std::chrono::steady_clock::now() < until) {
      std::this_thread::yield();
    }
    EXPECT_TRUE(member->standing().lane_trouble.contains("anew/0"));
    EXPECT_EQ(member->standing().lanes, 0U) << "nor is it said to be at work";
    EXPECT_EQ(database_.rows().size(), 7U);
  };
  const auto errors = [&] {
    const std::string text = metrics_.text();
    const auto at = text.find("\ntrialwire_sink_errors_total{code=\"corrupt\"");
    return at == std::string::npos ? 0 : std::stoul(text.substr(text.find('}', at) + 1));
  };
  member = join();
  refused();
  produce(40);
  for (const std::uint64_t before = errors(); errors() < before + 5;) std::this_thread::yield();
  refused();
  member->stop();
  member = join();  // which never saw that the topic was shorter
  refused();
  database_.delete_cursor(partition);
  database_.wait_for_rows(7 + 47);
  member->stop();
  EXPECT_EQ(database_.rows().size(), 7U + 47U);
  EXPECT_EQ(database_.cursors().at(partition), 48U);
}

TEST_F(GroupTest, lanes_keep_their_numbers_and_leave_no_lag_behind) {
  produce(20);
  for (int i = 0; i < 2; ++i) {
    auto member = join();
    produce(20);
    database_.wait_for_rows(produced_);
    while (member->standing().lanes < partitions) std::this_thread::yield();
    member->stop();
    EXPECT_FALSE(metrics_.text().contains(R"(lane="4")"));
    for (const char* gauge :
         {"running", "state", "lag_records", "lag_seconds", "lacking_records"}) {
      EXPECT_FALSE(metrics_.text().contains(std::string("\ntrialwire_sink_") + gauge + "{"))
          << gauge << ": of lanes that are no more";
    }
  }
  expect_each_once_in_order();
}

TEST_F(GroupTest, a_lag_is_known_in_messages_and_not_said_in_bytes) {
  produce(20);
  auto member = join();
  database_.wait_for_rows(20);
  EXPECT_TRUE(metrics_.text().contains("\ntrialwire_sink_lag_records{"));
  EXPECT_FALSE(metrics_.text().contains("trialwire_sink_lag_bytes"));
  member->stop();
}

TEST_F(GroupTest, what_is_not_fetched_yet_is_lag_too) {
  options_.partition_bytes = 1 << 10;
  options_.tail_interval = milliseconds(20);
  produce(20);
  auto member = join();
  database_.wait_for_rows(20);
  while (member->standing().lanes < partitions) std::this_thread::yield();
  database_.be_away(true);
  const auto wait_for_lag = [&](std::size_t messages) {
    const auto lacking =
        fmt::format("\ntrialwire_sink_lacking_records{{sink=\"database\"}} {}\n", messages);
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!metrics_.text().contains(lacking) && std::chrono::steady_clock::now() < until) {
      std::this_thread::yield();
    }
    EXPECT_TRUE(metrics_.text().contains(lacking)) << metrics_.text();
    EXPECT_EQ(member->standing().lag, messages);
  };
  produce(600);
  wait_for_lag(600);
  // More than a partition's queue holds: what comes behind it is not fetched.
  produce(700);
  wait_for_lag(1'300);
  produce(700);
  wait_for_lag(2'000);
  EXPECT_EQ(member->standing().lane_trouble, "away");
  database_.be_away(false);
  database_.wait_for_rows(2'020);
  member->stop();
}

/// A reader of a topic with one partition and 40 answers, and the hands that take something away.
class ReaderTest : public GroupTest {
 protected:
  template <typename Function>
  auto at(std::int64_t offset, Function function) {
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "one", 0)->offset = offset;
    auto result = function(consumer_.get(), list);
    rd_kafka_topic_partition_list_destroy(list);
    return result;
  }
  ReaderTest() {
    cluster_.make_topic("one", 1);
    options_.topics = {{journal::RecordKind::qol_answer, "one"}};
    produce(40);
    consumer_ =
        *make_handle(RD_KAFKA_CONSUMER, *make_config(options_.client, {{"group.id", "reader"}}));
    queue_ = rd_kafka_queue_get_partition(consumer_.get(), "one", 0);
    rd_kafka_queue_forward(queue_, nullptr);
    at(RD_KAFKA_OFFSET_BEGINNING, rd_kafka_assign);
  }
  ~ReaderTest() override {
    rd_kafka_queue_destroy(queue_);
    rd_kafka_consumer_close(consumer_.get());
  }
  void expect_all(journal::Reader& reader) {
    std::vector<std::uint64_t> places;
    const auto until = std::chrono::steady_clock::now() + patience;
    while (places.size() < 40 && std::chrono::steady_clock::now() < until) {
      auto batch = reader.next(milliseconds(1'000), {});
      ASSERT_TRUE(batch) << batch.error().text;
      for (const Record& record : (*batch)->records) places.push_back(record.at());
    }
    std::vector<std::uint64_t> all(40);
    std::iota(all.begin(), all.end(), 1);
    EXPECT_EQ(places, all);
  }

  const Uuid id_ = partition_id("cluster", {"one", 0});
  support::Handle consumer_;
  rd_kafka_queue_t* queue_ = nullptr;
};

TEST_F(ReaderTest, what_is_lost_on_its_way_is_asked_for_again) {
  PartitionJournal partition({consumer_.get(), {"one", 0}, id_, journal::RecordKind::qol_answer});
  auto reader = partition.read({id_, 1});
  ASSERT_TRUE(reader) << reader.error().text;
  for (int stolen = 0; stolen < 5; ++stolen) {
    rd_kafka_message_t* message = rd_kafka_consume_queue(queue_, 20'000);
    ASSERT_NE(message, nullptr);
    rd_kafka_message_destroy(message);
  }
  expect_all(**reader);
}

TEST_F(ReaderTest, a_submission_comes_in_one_batch_however_large_it_is) {
  constexpr std::size_t large = 5'000;
  const Uuid submission = Uuid::random();
  produce(large, submission);
  PartitionJournal partition({consumer_.get(), {"one", 0}, id_, journal::RecordKind::qol_answer});
  auto reader = partition.read({id_, 1});
  ASSERT_TRUE(reader) << reader.error().text;
  std::size_t most = 0, all = 0;
  const auto until = std::chrono::steady_clock::now() + patience;
  while (all < 40 + large && std::chrono::steady_clock::now() < until) {
    auto batch = (*reader)->next(milliseconds(1'000), {});
    ASSERT_TRUE(batch) << batch.error().text;
    const auto of_it = static_cast<std::size_t>(std::ranges::count_if(
        (*batch)->records,
        [&](const Record& record) { return record.attributes.submission == submission; }));
    most = std::max(most, of_it);
    all += (*batch)->records.size();
  }
  EXPECT_EQ(most, large);
}

TEST_F(ReaderTest, what_lies_before_the_place_where_the_library_waits_is_asked_for) {
  PartitionJournal partition({consumer_.get(), {"one", 0}, id_, journal::RecordKind::qol_answer});
  auto reader = partition.read({id_, 1});
  ASSERT_TRUE(reader) << reader.error().text;
  rd_kafka_error_t* error = at(40, [](rd_kafka_t* handle, rd_kafka_topic_partition_list_t* list) {
    return rd_kafka_seek_partitions(handle, list, 20'000);
  });
  ASSERT_EQ(error, nullptr) << rd_kafka_error_string(error);
  expect_all(**reader);
}

TEST(Partition, has_an_id_of_its_own_that_all_members_know) {
  const Uuid id = partition_id("cluster", {"topic", 3});
  EXPECT_EQ(id, partition_id("cluster", {"topic", 3}));
  EXPECT_NE(id, partition_id("cluster", {"topic", 4}));
  EXPECT_NE(id, partition_id("cluster", {"topics", 3}));
  EXPECT_NE(id, partition_id("other", {"topic", 3}));
  EXPECT_EQ(id.text()[14], '8');
  EXPECT_EQ((PartitionName{"topic", 3}.text()), "topic/3");
}

TEST(Partition, a_message_that_no_gateway_wrote_is_a_record_of_the_partition) {
  const std::string body = R"({"patient_id":"P-1"})";
  Fetched message{.offset = 41, .timestamp_ms = 7, .key = "P-1", .value = as_bytes(body)};
  const Uuid id = partition_id("cluster", {"topic", 3});
  Record record;
  ASSERT_TRUE(decode_message(message, {journal::RecordKind::vital_sign, id}, record));
  EXPECT_EQ(record.attributes.kind, journal::RecordKind::vital_sign);
  EXPECT_EQ(record.journal, id);
  EXPECT_EQ(record.sequence, 42U);
  EXPECT_EQ(record.attributes.received_ns, 7'000'000);
  EXPECT_EQ(as_text(record.bytes), body);
  EXPECT_EQ(record.attributes.key_hash, key_hash("P-1"));
  message.value = {};
  EXPECT_FALSE(decode_message(message, {journal::RecordKind::vital_sign, id}, record))
      << "a deletion is no record";
}

}  // namespace
}  // namespace trialwire::storage::kafka
