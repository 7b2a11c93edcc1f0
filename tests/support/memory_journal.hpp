// SPDX-License-Identifier: Apache-2.0
// A journal in memory, for tests of what reads one: batches are appended by the test, readers wait
// for them. Safe for use by any threads, but for the hooks, which are set before.
#pragma once
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "journal/journal.hpp"

namespace trialwire::support {

class MemoryJournal final : public journal::Journal {
 public:
  struct Body {
    std::string bytes;
    std::uint32_t key_hash = 0;
    journal::RecordKind kind = journal::RecordKind::epro_report;

    Body(const char* text) : bytes(text) {}
    Body(std::string text) : bytes(std::move(text)) {}
    Body(std::string text, std::uint32_t key) : bytes(std::move(text)), key_hash(key) {}
  };

  MemoryJournal() { cursor_.journal = Uuid::random(); }

  /// One journal batch: a record a body, all of `submission` when it is not zero.
  void append(const std::vector<Body>& bodies, Uuid submission = {}) {
    std::vector<std::pair<Body, Uuid>> records;
    for (const Body& body : bodies) records.emplace_back(body, submission);
    append_each(records);
  }
  /// The same of records of several submissions.
  void append_each(const std::vector<std::pair<Body, Uuid>>& bodies) {
    std::lock_guard lock(mutex_);
    auto& batch = batches_.emplace_back();
    for (const auto& [body, submission] : bodies) {
      journal::Record record;
      record.journal = cursor_.journal;
      record.epoch = 1;
      record.sequence = cursor_.next_sequence++;
      record.attributes.kind = body.kind;
      record.attributes.key_hash = body.key_hash;
      record.attributes.received_ns =
          received_ns_ ? received_ns_(record.sequence)
                       : static_cast<std::int64_t>(record.sequence) * 1'000'000'000;
      record.attributes.submission = submission;
      record.bytes = as_bytes(texts_.emplace_back(body.bytes));
      batch.push_back(record);
    }
    grown_.notify_all();
  }
  /// So many sequences are missing, as a repair declares it.
  void lose(std::uint64_t sequences) {
    std::lock_guard lock(mutex_);
    cursor_.next_sequence += sequences;
    grown_.notify_all();
  }
  void forget_before(std::uint64_t sequence) { begin_ = sequence; }
  void fail_reads(unsigned times) { failing_reads_ = times; }
  /// Times of receipt by sequence, in place of one a second.
  void receive_at(std::function<std::int64_t(std::uint64_t)> call) {
    received_ns_ = std::move(call);
  }
  /// Called whenever a backlog is asked for.
  void when_asked(std::function<void()> call) { when_asked_ = std::move(call); }
  /// Called with every cursor, under no lock.
  void when_held(std::function<void(std::string_view, std::uint64_t)> call) {
    when_held_ = std::move(call);
  }
  void hold_back(std::uint64_t bytes) { backlog_bytes_ = bytes; }

  /// All that one consumer ever held, in order.
  std::vector<std::uint64_t> cursors_of(const std::string& consumer) {
    std::lock_guard lock(mutex_);
    return cursors_[consumer];
  }

  ShardPort add_shard(std::function<void()>) override { return {}; }
  void start(std::function<void(const Error&)>) override {}
  void stop() override {}
  Result<std::unique_ptr<journal::Reader>> read(const journal::Cursor& from) override;
  journal::Cursor begin() const override { return {cursor_.journal, begin_}; }
  journal::Cursor end() const override {
    std::lock_guard lock(mutex_);
    return cursor_;
  }
  void set_cursor(std::string_view consumer, const journal::Cursor& durable) override {
    if (when_held_) when_held_(consumer, durable.next_sequence);
    std::lock_guard lock(mutex_);
    cursors_[std::string(consumer)].push_back(durable.next_sequence);
  }
  std::size_t pending_bytes() const noexcept override { return 0; }
  journal::Backlog backlog(std::uint64_t) const override {
    if (when_asked_) when_asked_();
    return {.bytes = backlog_bytes_, .data_bytes = backlog_bytes_};
  }
  journal::Status status() const override { return {}; }

 private:
  class Reader;
  mutable std::mutex mutex_;
  std::condition_variable_any grown_;
  std::deque<std::string> texts_;
  std::deque<std::vector<journal::Record>> batches_;
  std::map<std::string, std::vector<std::uint64_t>> cursors_;
  journal::Cursor cursor_;  // end
  std::atomic<std::uint64_t> begin_ = 1;
  std::atomic<unsigned> failing_reads_ = 0;
  std::atomic<std::uint64_t> backlog_bytes_ = 0;
  std::function<void()> when_asked_;
  std::function<void(std::string_view, std::uint64_t)> when_held_;
  std::function<std::int64_t(std::uint64_t)> received_ns_;
};

class MemoryJournal::Reader final : public journal::Reader {
 public:
  Reader(MemoryJournal& journal, journal::Cursor from) : journal_(journal), at_(from) {}

  Result<journal::Batch*> next(std::chrono::milliseconds wait, std::stop_token stop) override {
    if (journal_.failing_reads_ > 0) {
      --journal_.failing_reads_;
      return fail(ErrorCode::io, "segment 3, offset 4096: cannot be read");
    }
    std::unique_lock lock(journal_.mutex_);
    journal_.grown_.wait_for(lock, std::move(stop), wait, [this] {
      return at_.next_sequence != journal_.cursor_.next_sequence;
    });
    batch_.records.clear();
    batch_.lost_from = batch_.lost_to = 0;
    auto found = std::ranges::lower_bound(
        journal_.batches_, at_.next_sequence, {},
        [](const std::vector<journal::Record>& batch) { return batch.back().sequence; });
    const std::uint64_t reached =
        found == journal_.batches_.end() ? journal_.cursor_.next_sequence : found->front().sequence;
    if (reached > at_.next_sequence) {
      batch_.lost_from = std::exchange(at_.next_sequence, reached);
      batch_.lost_to = reached;
    }
    if (found == journal_.batches_.end()) return &batch_;
    for (const journal::Record& record : *found) {
      if (record.sequence >= at_.next_sequence) batch_.records.push_back(record);
    }
    at_.next_sequence = found->back().sequence + 1;
    return &batch_;
  }
  journal::Cursor position() const override { return at_; }
  Result<void> seek(const journal::Cursor& cursor) override {
    at_ = cursor;
    return {};
  }

 private:
  MemoryJournal& journal_;
  journal::Cursor at_;
  journal::Batch batch_;
};

inline Result<std::unique_ptr<journal::Reader>> MemoryJournal::read(const journal::Cursor& from) {
  if (from.next_sequence > end().next_sequence) {
    return fail(ErrorCode::corrupt, fmt::format("cursor {} is beyond the tail {}",
                                                from.next_sequence, end().next_sequence));
  }
  return std::make_unique<Reader>(*this, from);
}

}  // namespace trialwire::support
