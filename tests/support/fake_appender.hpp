// SPDX-License-Identifier: Apache-2.0
// A journal in memory with the appender's rules for identities and groups; commits when told to.
#pragma once
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "journal/appender.hpp"

namespace trialwire::testing {

struct StoredRecord {
  journal::RecordAttributes attributes;  // views are empty: see the copies below
  std::string bytes;
  std::string principal;
  std::string origin;
  std::string traceparent;
  std::uint64_t sequence = 0;
};

class FakeAppender final : public journal::Appender {
 public:
  // What the next calls do.
  std::optional<Error> admission_error;
  std::optional<ErrorCode> refuse_commits;
  bool synced = true;
  bool group_fits = true;
  bool keep_records = true;  // false: count only, allocate nothing
  std::uint64_t next_sequence = 812;

  std::vector<StoredRecord> stored;
  std::size_t open_groups = 0;
  std::size_t cancelled = 0;
  std::size_t withdrawn = 0;
  std::size_t added = 0;

  Result<void> admit(std::size_t) noexcept override {
    if (admission_error) return std::unexpected(*admission_error);
    return {};
  }
  void begin(journal::GroupMode mode) noexcept override {
    TW_CHECK(open_groups == 0);
    ++open_groups;
    group_.clear();
    mode_ = mode;
  }
  void add(const journal::Record& record) override {
    TW_CHECK(open_groups == 1);
    ++added;
    if (!keep_records) return;
    StoredRecord copy{record.attributes, std::string(as_text(record.bytes)),
                      std::string(record.attributes.principal),
                      std::string(record.attributes.origin),
                      std::string(record.attributes.traceparent)};
    copy.attributes.principal = copy.attributes.origin = copy.attributes.traceparent = {};
    group_.push_back(std::move(copy));
  }
  bool fits() const noexcept override { return group_fits; }
  void cancel() noexcept override {
    TW_CHECK(open_groups == 1);
    --open_groups;
    ++cancelled;
  }
  std::uint64_t end(journal::Waiter& waiter) override {
    TW_CHECK(open_groups == 1);
    --open_groups;
    TW_CHECK(waiter_ == nullptr);
    waiter_ = &waiter;
    return ++ticket_;
  }
  bool withdraw(std::uint64_t ticket) noexcept override {
    if (waiter_ == nullptr || ticket != ticket_) return false;
    waiter_ = nullptr;
    ++withdrawn;
    return true;
  }
  void flush() override {}
  std::size_t pending_bytes() const noexcept override { return 0; }
  SipKey identity_key() const noexcept override { return {1, 2}; }

  /// As if nothing had ever been stored.
  void forget() {
    stored.clear();
    by_identity_.clear();
  }

  bool waiting() const noexcept { return waiter_ != nullptr; }

  /// Commits the group that was ended and tells its waiter.
  void commit() {
    TW_CHECK(waiter_ != nullptr);
    journal::Receipt receipt;
    receipt.synced = synced;
    std::vector<std::uint32_t> conflicts;
    if (refuse_commits) {
      receipt.state = journal::Receipt::State::refused;
      receipt.error = *refuse_commits;
    } else if (!keep_records) {
      receipt.stored = 1;
      receipt.first_sequence = next_sequence++;
    } else {
      look_up(receipt, conflicts);
      receipt.conflicts = conflicts;
      receipt.sequences = sequences_;
    }
    std::exchange(waiter_, nullptr)->committed(receipt);
  }

 private:
  const StoredRecord* known(const Hash128& identity) const {
    if (identity == Hash128{}) return nullptr;  // has none: never a duplicate
    auto found = by_identity_.find(identity);
    return found == by_identity_.end() ? nullptr : &stored[found->second];
  }

  void look_up(journal::Receipt& receipt, std::vector<std::uint32_t>& conflicts) {
    for (std::uint32_t i = 0; i < group_.size(); ++i) {
      const StoredRecord* first = known(group_[i].attributes.identity);
      if (first != nullptr && first->attributes.content_hash != group_[i].attributes.content_hash) {
        conflicts.push_back(i);
      }
    }
    if (mode_ == journal::GroupMode::all_or_none && !conflicts.empty()) {
      receipt.state = journal::Receipt::State::conflict;
      return;
    }
    sequences_.clear();
    bool contiguous = true;
    for (std::uint32_t i = 0; i < group_.size(); ++i) {
      if (std::ranges::find(conflicts, i) != conflicts.end()) continue;
      const StoredRecord* first = known(group_[i].attributes.identity);
      if (first == nullptr) {
        ++receipt.stored;
        group_[i].sequence = next_sequence++;
        by_identity_.emplace(group_[i].attributes.identity, stored.size());
        stored.push_back(group_[i]);
        first = &stored.back();
      } else {
        ++receipt.duplicates;
      }
      if (receipt.first_sequence == 0) {
        receipt.first_sequence = first->sequence;
        receipt.first_record_id =
            record_id({Uuid{}, 1, first->sequence, first->attributes.received_ns});
      }
      sequences_.push_back(first->sequence);
      contiguous &= first->sequence == receipt.first_sequence + sequences_.size() - 1;
    }
    if (contiguous) sequences_.clear();
  }

  journal::GroupMode mode_ = journal::GroupMode::each;
  std::vector<StoredRecord> group_;
  std::vector<std::uint64_t> sequences_;
  std::map<Hash128, std::size_t> by_identity_;
  journal::Waiter* waiter_ = nullptr;
  std::uint64_t ticket_ = 0;
};

}  // namespace trialwire::testing
