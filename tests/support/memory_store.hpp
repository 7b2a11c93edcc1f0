// SPDX-License-Identifier: Apache-2.0
// A transactional destination in memory, and dead letters beside it, for tests of the pipeline:
// what is in it survives the lanes, as a database survives the process. Safe for use by any
// threads.
#pragma once
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "pipeline/dead_letters.hpp"
#include "pipeline/sink.hpp"

namespace trialwire::support {

/// One committed transaction.
struct MemoryTransaction {
  unsigned lane = 0;
  std::vector<std::uint64_t> sequences;
  std::uint64_t next_sequence = 0;
};

class MemoryStore final : public pipeline::DeadLetters {
 public:
  /// A record that the destination will never take.
  std::function<bool(const journal::Record&)> is_poison = [](const journal::Record&) {
    return false;
  };
  /// Asked at each step of each call, without the lock: an error is what the caller gets. "begin",
  /// "rows" (written, not committed), "committed"; "letter" and "letter stored".
  std::function<Result<void>(std::string_view step, unsigned lane)> at =
      [](std::string_view, unsigned) { return Result<void>(); };

  /// Called when it is asked to forget.
  std::function<void()> looked = [] {};

  void wait_for(const std::function<bool(const MemoryStore&)>& reached) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return reached(*this); });
  }
  std::vector<std::uint64_t> rows() const {
    std::vector<std::uint64_t> all;
    for (const auto& one : transactions) {
      all.insert(all.end(), one.sequences.begin(), one.sequences.end());
    }
    return all;
  }

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::vector<MemoryTransaction> transactions;    // with rows
  std::map<unsigned, std::uint64_t> cursors;      // by lane
  std::map<std::uint64_t, unsigned> letters;      // sequence → attempts
  std::vector<std::vector<std::uint64_t>> units;  // as they were set aside
  std::set<std::uint64_t> asked;                  // of the letters
  std::set<std::uint64_t> redelivered;            // letters no more
  std::map<std::uint64_t, std::int64_t> delivered_ns;
  std::map<std::uint64_t, journal::Record> kept;  // of the letters; their bytes are the journal's
  unsigned resets = 0;
  unsigned times_asked = 0;  // for the cursor
  bool rolls_back = false;   // a refusal, and says so

  Result<void> store(std::span<const journal::Record> unit,
                     const pipeline::Refusal& refusal) override {
    if (auto ok = at("letter", refusal.lane); !ok) return ok;
    {
      std::lock_guard lock(mutex);
      std::vector<std::uint64_t> sequences;
      for (const auto& record : unit) {
        ++letters[record.sequence];
        asked.erase(record.sequence);
        kept[record.sequence] = record;
        kept[record.sequence].bytes = {};
        sequences.push_back(record.sequence);
      }
      units.push_back(std::move(sequences));
      changed.notify_all();
    }
    return at("letter stored", refusal.lane);
  }
  Result<void> next_asked(std::string_view, pipeline::RecordBatch& unit) override {
    std::lock_guard lock(mutex);
    unit.clear();
    if (!asked.empty()) unit.add(kept[*asked.begin()]);
    return {};
  }
  Result<void> delivered(std::span<const journal::Record> unit, std::string_view,
                         std::int64_t at_ns) override {
    std::lock_guard lock(mutex);
    for (const auto& record : unit) {
      asked.erase(record.sequence);
      letters.erase(record.sequence);
      redelivered.insert(record.sequence);
      delivered_ns[record.sequence] = at_ns;
    }
    changed.notify_all();
    return {};
  }
  Result<std::uint64_t> ask_again(std::string_view) override {
    std::lock_guard lock(mutex);
    for (const std::uint64_t sequence : redelivered) ++letters[sequence];
    asked.merge(redelivered);
    const std::uint64_t count = asked.size();
    redelivered.clear();
    return count;
  }
  Result<std::uint64_t> forget_delivered(std::string_view, std::int64_t before_ns) override {
    looked();
    std::lock_guard lock(mutex);
    const std::uint64_t forgotten = std::erase_if(
        redelivered, [&](std::uint64_t each) { return delivered_ns[each] < before_ns; });
    changed.notify_all();
    return forgotten;
  }
  Result<BySink> waiting() override {
    std::lock_guard lock(mutex);
    return letters.empty() ? BySink() : BySink{{"memory", letters.size()}};
  }
};

class MemorySink final : public pipeline::Sink {
 public:
  MemorySink(MemoryStore& store, unsigned lane) : store_(store), lane_(lane) {}

  std::string_view name() const noexcept override { return "memory"; }
  Result<journal::Cursor> durable_cursor(const Uuid& journal) override {
    if (auto ok = store_.at("ask", lane_); !ok) return std::unexpected(ok.error());
    std::lock_guard lock(store_.mutex);
    ++store_.times_asked;
    auto found = store_.cursors.find(lane_);
    said_ = found == store_.cursors.end() ? 1 : found->second;
    return journal::Cursor{journal, said_};
  }
  Result<void> deliver(std::span<const journal::Record> records,
                       const journal::Cursor& cursor) override {
    if (auto ok = store_.at("begin", lane_); !ok) return ok;
    for (const auto& record : records) {
      if (store_.is_poison(record)) return fail(ErrorCode::invalid_argument, "refused");
    }
    if (auto ok = store_.at("rows", lane_); !ok) return ok;
    {
      std::lock_guard lock(store_.mutex);
      auto found = store_.cursors.find(lane_);
      if (said_ != (found == store_.cursors.end() ? 1 : found->second)) {
        return fail(ErrorCode::conflict, "another cursor is stored");
      }
      if (!records.empty()) {
        auto& transaction = store_.transactions.emplace_back();
        transaction.lane = lane_;
        transaction.next_sequence = cursor.next_sequence;
        for (const auto& one : records) transaction.sequences.push_back(one.sequence);
      }
      said_ = store_.cursors[lane_] = cursor.next_sequence;
      store_.changed.notify_all();
    }
    return store_.at("committed", lane_);
  }
  void reset() noexcept override {
    std::lock_guard lock(store_.mutex);
    ++store_.resets;
  }
  bool rolled_back() const noexcept override { return store_.rolls_back; }

 private:
  MemoryStore& store_;
  const unsigned lane_;
  std::uint64_t said_ = 1;
};

}  // namespace trialwire::support
