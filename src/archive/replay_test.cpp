// SPDX-License-Identifier: Apache-2.0
#include "archive/replay.hpp"

#include <deque>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "archive/archive_reader.hpp"
#include "archive/test_archive.hpp"
#include "pipeline/lane_schedule.hpp"
#include "support/memory_store.hpp"

namespace trialwire::archive {
namespace {

using journal::Cursor;

/// Rows by sequence, and a cursor that is stored with them only over the one that was read.
class RowSink final : public pipeline::Sink {
 public:
  std::string_view name() const noexcept override { return "rows"; }
  Result<Cursor> durable_cursor(const Uuid& journal) override {
    read = cursor;
    return Cursor{journal, cursor};
  }
  Result<void> deliver(std::span<const journal::Record> records, const Cursor& to) override {
    if (!failures.empty()) {
      const ErrorCode code = failures.front();
      failures.pop_front();
      return fail(code, "refused");
    }
    for (const auto& record : records) {
      if (auto takes = judge(record.sequence); !takes) return takes;
    }
    if (read != cursor) return fail(ErrorCode::conflict, "another cursor");
    for (const auto& record : records) {
      deliveries.push_back(record.sequence);
      rows.insert(record.sequence);
    }
    read = cursor = to.next_sequence;
    return {};
  }
  void reset() noexcept override {}

  std::uint64_t cursor = 1;
  std::uint64_t read = 1;
  std::set<std::uint64_t> rows;
  std::vector<std::uint64_t> deliveries;
  std::deque<ErrorCode> failures;
  std::function<Result<void>(std::uint64_t sequence)> judge = [](std::uint64_t) {
    return Result<void>();
  };
};

std::function<Result<void>(std::uint64_t)> refusing(std::set<std::uint64_t> poison) {
  return [poison](std::uint64_t sequence) -> Result<void> {
    if (!poison.contains(sequence)) return {};
    return fail(ErrorCode::payload_too_large, "too large");
  };
}

class ReplayTest : public ArchiveFixture {
 protected:
  /// Four segments archived, two of them deleted from the journal; the last records are not sealed.
  void SetUp() override {
    auto options = this->options();
    options.retention = {};
    open_journal(options);
    fill_open(2);
    ASSERT_TRUE(make_archiver().round());
    journal_->set_cursor("sink", journal_->tail().next_sequence);
    journal_->maintain();
    journal_->set_cursor("sink", 0);
    fill_open(2);
    ASSERT_TRUE(archiver_->round());
    ASSERT_TRUE(append(*journal_, 3));
    archived_end_ = archive().manifest(4)->segment.next_sequence;
    end_ = journal_->chain().next_sequence;
    id_ = journal_->status().id;
    close_journal();
    auto rows = std::make_unique<RowSink>();
    sink_ = rows.get();
    lanes_.push_back(std::move(rows));
    options_.journal = id_;
    options_.batch_records = 4;
    options_.backoff = {std::chrono::milliseconds(1), std::chrono::milliseconds(1)};
  }
  Result<ReplayReport> run(std::uint64_t from, bool with_journal = true) {
    Archive archive(store_, id_);
    std::unique_ptr<journal::JournalAtRest> at_rest;
    if (with_journal) {
      auto opened = journal::JournalAtRest::open(this->options().directory, journal::posix_files());
      EXPECT_TRUE(opened) << opened.error().text;
      at_rest = std::move(*opened);
      if (!moves_over_tail_) options_.cursor_until = at_rest->sealed_end();
    }
    const auto reader = joined(
        {std::make_unique<ArchiveReader>(archive, *archive.numbers(), from), at_rest.get(), from});
    return replay(*reader, lanes_, options_);
  }

  /// Batches of seven records each that are not archived. Returns the journal's next sequence.
  std::uint64_t append_batches(int batches) {
    open_journal(this->options());
    for (int batch = 0; batch < batches; ++batch) {
      EXPECT_TRUE(append(*journal_, 7, 100, true));
    }
    const std::uint64_t end = journal_->chain().next_sequence;
    close_journal();
    return end;
  }

  /// Two more beside the one that is there.
  std::vector<RowSink*> three_lanes() {
    std::vector<RowSink*> sinks{sink_};
    for (int lane = 1; lane < 3; ++lane) {
      auto rows = std::make_unique<RowSink>();
      sinks.push_back(rows.get());
      lanes_.push_back(std::move(rows));
    }
    return sinks;
  }

  void append_submission(std::uint32_t records) {
    std::vector<std::byte> payload;
    journal::Record record;
    record.attributes.submission = Uuid::random();
    record.attributes.submission_count = records;
    record.bytes = as_bytes("{}");
    for (std::uint32_t i = 0; i < records; ++i) {
      record.attributes.submission_index = i;
      const std::size_t at = payload.size();
      payload.resize(at + encoded_size(record));
      encode_record(record, payload.data() + at);
    }
    journal::BatchBuffer batch;
    std::ranges::copy(payload, batch.begin(payload.size(), records).begin());
    ASSERT_TRUE(journal_->append(batch, 1'700'000'000'000'000'000));
  }

  Uuid id_;
  support::MemoryStore letters_;
  std::uint64_t archived_end_ = 0;
  std::uint64_t end_ = 0;
  RowSink* sink_ = nullptr;
  std::vector<std::unique_ptr<pipeline::Sink>> lanes_;
  ReplayOptions options_;
  bool moves_over_tail_ = false;
};

TEST_F(ReplayTest, ASinkThatHasNothingGetsEverythingAndItsCursorWhatIsSealed) {
  const auto report = run(1);
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(report->records, end_ - 1);
  EXPECT_EQ(sink_->rows.size(), end_ - 1);
  EXPECT_EQ(sink_->deliveries.size(), end_ - 1);
  EXPECT_EQ(sink_->cursor, archived_end_) << "the tail may still be cut off";
}

TEST_F(ReplayTest, TheCursorNeverGoesBack) {
  sink_->cursor = end_;
  const auto report = run(3);
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(report->records, end_ - 3);
  EXPECT_EQ(report->first_sequence, 3U);
  EXPECT_EQ(sink_->cursor, end_);
}

TEST_F(ReplayTest, TheCursorStaysBeforeAHole) {
  sink_->cursor = 5;
  ASSERT_TRUE(run(7));
  EXPECT_EQ(sink_->cursor, 5U);
  EXPECT_EQ(sink_->rows.size(), end_ - 7);
  ASSERT_TRUE(run(5));
  EXPECT_EQ(sink_->cursor, archived_end_);
}

TEST_F(ReplayTest, ItEndsWhereItIsToldTo) {
  options_.until = 6;
  const auto report = run(2);
  ASSERT_TRUE(report);
  EXPECT_EQ(sink_->deliveries, (std::vector<std::uint64_t>{2, 3, 4, 5}));
  EXPECT_EQ(report->next_sequence, 6U);
}

TEST_F(ReplayTest, WithoutTheJournalThereIsWhatIsArchived) {
  options_.cursor_until = 0;
  const auto report = run(1, false);
  ASSERT_TRUE(report);
  EXPECT_EQ(sink_->rows.size(), archived_end_ - 1);
  EXPECT_EQ(sink_->cursor, 1U) << "a running server's cursor is its own business";
}

TEST_F(ReplayTest, AFailureThatMayPassIsRepeatedAndOneThatMayNotIsNamed) {
  sink_->failures = {ErrorCode::unavailable, ErrorCode::io, ErrorCode::conflict};
  ASSERT_TRUE(run(1));
  EXPECT_EQ(sink_->rows.size(), end_ - 1);
  sink_->cursor = 1;
  sink_->judge = refusing({7});
  const auto refused = run(1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text,
            "sequence 7: too large; 6 records were delivered and 0 set aside, all before sequence "
            "7: go on with --from 7");
  EXPECT_EQ(sink_->cursor, 5U);
}

TEST_F(ReplayTest, WhatIsRefusedForEverIsSetAsideAndTheRestGoesOn) {
  sink_->judge = refusing({6, 9, end_ - 1});
  options_.dead_letters = &letters_;
  std::vector<std::uint64_t> named;
  options_.refused = [&](std::span<const journal::Record> unit, const Error& reason) {
    named.push_back(unit.front().sequence);
    EXPECT_EQ(reason.text, "too large");
  };
  const auto report = run(1);
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(named, (std::vector<std::uint64_t>{6, 9, end_ - 1}));
  EXPECT_EQ(letters_.letters.size(), 3U);
  EXPECT_EQ(report->refused, 3U);
  EXPECT_EQ(report->records, end_ - 1 - 3);
  EXPECT_EQ(sink_->deliveries.size(), end_ - 1 - 3);
  EXPECT_EQ(sink_->cursor, archived_end_);
}

TEST_F(ReplayTest, ARefusedSubmissionIsSetAsideWhole) {
  open_journal(this->options());
  append_submission(3);
  ASSERT_TRUE(append(*journal_, 1));
  close_journal();
  sink_->judge = refusing({end_ + 1});
  options_.dead_letters = &letters_;
  const auto report = run(end_ - 1);
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(letters_.units, (std::vector<std::vector<std::uint64_t>>{{end_, end_ + 1, end_ + 2}}));
  EXPECT_EQ(sink_->deliveries, (std::vector<std::uint64_t>{end_ - 1, end_ + 3}));
}

TEST_F(ReplayTest, WhereEverythingIsRefusedItEndsAndMovesNoCursorOverIt) {
  sink_->judge = [](std::uint64_t) { return fail(ErrorCode::invalid_argument, "no such column"); };
  options_.dead_letters = &letters_;
  options_.refusals_max = 2;
  const auto refused = run(1);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().text.starts_with("sequence 3: the sink refuses everything"))
      << refused.error().text;
  EXPECT_TRUE(refused.error().text.ends_with("go on with --from 3")) << refused.error().text;
  EXPECT_EQ(letters_.letters.size(), 2U);
  EXPECT_EQ(sink_->cursor, 1U);
}

TEST_F(ReplayTest, ALetterThatCannotBeStoredEndsIt) {
  sink_->judge = refusing({2});
  options_.dead_letters = &letters_;
  letters_.at = [](std::string_view, unsigned) { return fail(ErrorCode::disk_full, "full"); };
  const auto failed = run(1);
  ASSERT_FALSE(failed);
  EXPECT_TRUE(failed.error().text.starts_with("sequence 2: setting a dead letter aside: full"))
      << failed.error().text;
  EXPECT_EQ(sink_->rows, (std::set<std::uint64_t>{1}));
}

TEST_F(ReplayTest, FromWhereItEndedNothingIsSentTwice) {
  // A sink without rows of its own, as Kafka: what is sent again is there twice.
  sink_->judge = [](std::uint64_t sequence) -> Result<void> {
    if (sequence < 11) return refusing({7})(sequence);
    return fail(ErrorCode::unavailable, "away");
  };
  options_.dead_letters = &letters_;
  options_.attempts = 2;
  const auto ended = run(1);
  ASSERT_FALSE(ended);
  const std::string_view named = "go on with --from ";
  const std::size_t at = ended.error().text.rfind(named);
  ASSERT_NE(at, std::string::npos) << ended.error().text;
  const std::uint64_t from = std::stoull(ended.error().text.substr(at + named.size()));
  EXPECT_EQ(from, 9U);
  sink_->judge = refusing({});
  ASSERT_TRUE(run(from));
  EXPECT_EQ(sink_->deliveries.size(), end_ - 1 - 1);
  EXPECT_EQ(sink_->rows.size(), end_ - 1 - 1);
}

TEST_F(ReplayTest, ACursorThatMovesMeanwhileIsReadAgain) {
  options_.progress = [this](std::uint64_t, std::uint64_t) {
    if (sink_->cursor < 9) sink_->cursor = 9;
    return true;
  };
  ASSERT_TRUE(run(1));
  EXPECT_EQ(sink_->rows.size(), end_ - 1);
  EXPECT_EQ(sink_->cursor, archived_end_);
}

TEST_F(ReplayTest, EachLaneGetsItsRecordsAndEveryCursorMovesOverThem) {
  auto second = std::make_unique<RowSink>();
  RowSink* other = second.get();
  other->cursor = 5;
  lanes_.push_back(std::move(second));
  const auto report = run(1);
  ASSERT_TRUE(report) << report.error().text;
  // The fixture's records have no key: they are the first lane's.
  EXPECT_EQ(sink_->rows.size(), end_ - 1);
  EXPECT_TRUE(other->rows.empty());
  EXPECT_EQ(report->cursors_before, (std::vector<std::uint64_t>{1, 5}));
  EXPECT_EQ(report->cursors_after, (std::vector<std::uint64_t>{archived_end_, archived_end_}));
}

TEST_F(ReplayTest, ALargeRangeIsDividedAmongTheLanesAsASinksIs) {
  const std::uint64_t end = append_batches(100);
  const std::vector<RowSink*> sinks = three_lanes();
  options_.batch_records = 16;
  const auto report = run(end_);
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(report->records, 700U);
  const pipeline::LaneSchedule schedule(3);
  for (unsigned lane = 0; lane < 3; ++lane) {
    std::vector<std::uint64_t> expected;
    for (std::uint64_t sequence = end_; sequence < end; ++sequence) {
      const auto key = static_cast<std::uint32_t>(sequence);  // as the fixture makes them
      if (schedule.lane_of(sequence, key) == lane) expected.push_back(sequence);
    }
    EXPECT_EQ(sinks[lane]->deliveries, expected) << "each once, in order, lane " << lane;
  }
}

TEST_F(ReplayTest, NoCursorMovesBeforeTheRecordsOfAllLanesAreThere) {
  const std::uint64_t end = append_batches(10);
  const std::vector<RowSink*> sinks = three_lanes();
  options_.batch_records = 5;
  options_.attempts = 1;
  moves_over_tail_ = true;
  // Each time something of another lane fails: after any end, what is before a cursor is there.
  for (const std::size_t failing : {0U, 1U, 2U}) {
    for (std::uint64_t bad = end_ + 10; bad < end; bad += 5) {
      for (RowSink* each : sinks) {
        each->cursor = end_;
        each->rows.clear();
      }
      sinks[failing]->judge = [bad](std::uint64_t sequence) -> Result<void> {
        if (sequence < bad) return {};
        return fail(ErrorCode::forbidden, "no right");
      };
      std::set<std::uint64_t> all;
      static_cast<void>(run(end_));
      for (RowSink* each : sinks) all.insert(each->rows.begin(), each->rows.end());
      for (RowSink* each : sinks) {
        for (std::uint64_t at = end_; at < each->cursor; ++at) {
          ASSERT_TRUE(all.contains(at)) << at << " is not there, a cursor is " << each->cursor;
        }
        each->judge = refusing({});
      }
    }
  }
}

TEST_F(ReplayTest, ASubmissionThatABoundIsInComesWhole) {
  open_journal(this->options());
  append_submission(5);
  append_submission(5);
  ASSERT_TRUE(append(*journal_, 3));
  close_journal();
  options_.until = end_ + 2;
  ASSERT_TRUE(run(end_));
  EXPECT_EQ(sink_->rows, (std::set<std::uint64_t>{end_, end_ + 1, end_ + 2, end_ + 3, end_ + 4}));
  auto at_rest = journal::JournalAtRest::open(this->options().directory, journal::posix_files());
  ASSERT_TRUE(at_rest);
  const std::vector<std::pair<std::uint64_t, std::uint64_t>> begins{
      {0, 0}, {4, 0}, {5, 5}, {8, 5}, {10, 10}, {11, 11}, {13, 13}};
  for (const auto& [from, begin] : begins) {
    EXPECT_EQ(unit_begin(*(*at_rest)->read(end_ + from)).value_or(0), end_ + begin) << from;
  }
}

TEST_F(ReplayTest, WhatNobodyHasIsNamed) {
  for (const auto number : {1, 2}) {
    std::filesystem::remove(object(manifest_object(id_, static_cast<std::uint64_t>(number))));
  }
  auto missing = run(1);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_NE(missing.error().text.find("sequences 1 to"), std::string::npos);
  std::filesystem::remove_all(root());
  missing = run(1);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().text.find("neither"), std::string::npos) << missing.error().text;
}

TEST_F(ReplayTest, ADamagedSegmentEndsItWithTheObjectNamedAndKeepsWhatWasBefore) {
  journal::flip_bit(object(segment_object(id_, 2)), 60);
  const auto damaged = run(1);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::corrupt);
  EXPECT_NE(damaged.error().text.find(segment_object(id_, 2)), std::string::npos)
      << damaged.error().text;
  EXPECT_EQ(sink_->cursor, Archive(store_, id_).manifest(1)->segment.next_sequence);
}

TEST_F(ReplayTest, ATimeIsTheFirstSequenceReceivedThenOrLater) {
  // The fixture's records are received at as many nanoseconds as their sequence; manifests have
  // milliseconds.
  const Archive archive(store_, id_);
  const auto numbers = *archive.numbers();
  EXPECT_EQ(sequence_at(archive, numbers, 1).value_or(0), 1U);
  EXPECT_EQ(sequence_at(archive, numbers, 17).value_or(0), 17U);
  EXPECT_EQ(sequence_at(archive, numbers, 2'000'000'000).value_or(0), archived_end_);
}

}  // namespace
}  // namespace trialwire::archive
