// SPDX-License-Identifier: Apache-2.0
// A segment store for the committer's tests: keeps the records in memory, can be held at a gate
// before it "writes", and fails on request. Any thread may ask it.
#pragma once
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "journal/segment_store.hpp"

namespace trialwire::journal {

class StoreDouble final : public SegmentStore {
 public:
  explicit StoreDouble(bool keep = true) : keep_(keep) {
    chain_.journal = Uuid::random();
    chain_.epoch = 7;
  }

  // --- the test's side --------------------------------------------------------------------------
  void close_gate() {
    std::lock_guard lock(mutex_);
    gate_open_ = false;
  }
  void open_gate() {
    std::lock_guard lock(mutex_);
    gate_open_ = true;
    changed_.notify_all();
  }
  /// Until an append is held at the gate.
  void wait_at_gate() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return at_gate_; });
  }
  void wait_for_seals(std::size_t n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return seals_ >= n; });
  }
  void fail_with(std::optional<ErrorCode> code) {
    std::lock_guard lock(mutex_);
    failure_ = code;
  }
  std::vector<std::vector<std::string>> batches() const {
    std::lock_guard lock(mutex_);
    return batches_;
  }
  std::size_t records() const {
    std::lock_guard lock(mutex_);
    return chain_.next_sequence - 1;
  }
  std::size_t seals() const {
    std::lock_guard lock(mutex_);
    return seals_;
  }
  std::size_t appends() const {
    std::lock_guard lock(mutex_);
    return appends_;
  }

  // --- SegmentStore -----------------------------------------------------------------------------
  const Chain& chain() const noexcept override { return chain_; }
  Result<Appended> append(BatchBuffer& batch, std::int64_t) override {
    std::unique_lock lock(mutex_);
    at_gate_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return gate_open_; });
    at_gate_ = false;
    ++appends_;
    if (failure_) return fail(*failure_, "on request");
    Appended appended{.first_sequence = chain_.next_sequence, .bytes = batch.bytes().size()};
    if (batch.records() == 0) {
      ++seals_;
      changed_.notify_all();
    } else if (keep_) {
      batches_.emplace_back();
      ByteView left = batch.payload();
      for (Record record; !left.empty();) {
        left = left.subspan(decode_record(left, record));
        batches_.back().emplace_back(as_text(record.bytes));
      }
    }
    chain_.next_sequence += batch.records();
    return appended;
  }
  bool has_room(std::uint64_t) const noexcept override {
    std::lock_guard lock(mutex_);
    return failure_ != ErrorCode::disk_full;
  }
  SipKey identity_key() const noexcept override { return {1, 2}; }
  void start(StoreEvents) override {}
  void stop() override {}
  void maintain() override {}
  std::uint64_t segment_bytes() const noexcept override { return 128 << 20; }
  Tail tail() const override { return {.next_sequence = records() + 1}; }
  std::uint64_t first_sequence() const override { return 1; }
  Backlog backlog(std::uint64_t) const override { return {}; }
  Status status() const override { return {}; }
  const std::filesystem::path& directory() const noexcept override { return directory_; }
  std::vector<SealedSegment> sealed_segments() const override { return {}; }
  void set_cursor(std::string_view, std::uint64_t) override {}
  Result<void> check_cursor(const Cursor&) const override { return {}; }
  Result<std::unique_ptr<SegmentReader>> read(std::uint64_t) override {
    return fail(ErrorCode::not_found, "the double keeps no segments");
  }

 private:
  const bool keep_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool gate_open_ = true;
  bool at_gate_ = false;
  std::optional<ErrorCode> failure_;
  std::vector<std::vector<std::string>> batches_;
  std::size_t seals_ = 0;
  std::size_t appends_ = 0;
  Chain chain_;
  std::filesystem::path directory_;
};

}  // namespace trialwire::journal
