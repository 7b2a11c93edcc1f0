// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/outbox.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace trialwire::storage::kafka {
namespace {

/// It failed because another one did, or because nobody waited for it.
bool is_consequence(rd_kafka_resp_err_t error) noexcept {
  switch (error) {
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE:
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Outbox::begin(std::span<const journal::Record> records,
                   const std::function<bool(const journal::Record&)>& takes) {
  before_.swap(entries_);
  entries_.clear();
  current_.clear();
  failed_ = awaited_ = 0;
  for (Entry& entry : before_) entry.current = false;
  auto old = before_.begin();
  // What is still in flight of other deliveries keeps its place: its report will come.
  auto keep_until = [&](std::uint64_t sequence) {
    for (; old != before_.end() && old->sequence < sequence; ++old) {
      if (old->state == State::in_flight) entries_.push_back(*old);
    }
  };
  const journal::Record* last = nullptr;
  std::uint64_t submission_first = 0;
  for (const journal::Record& record : records) {
    keep_until(record.sequence);
    const Uuid& submission = record.attributes.submission;
    const bool goes_on =
        last != nullptr && submission != Uuid{} && last->attributes.submission == submission;
    if (!goes_on) submission_first = record.sequence;
    last = &record;
    Entry entry{.sequence = record.sequence,
                .submission_first = submission_first,
                .key_hash = record.attributes.key_hash,
                .current = true};
    if (old != before_.end() && old->sequence == record.sequence) {
      entry.bytes = old->bytes;
      entry.topic = old->topic;
      if (old->state != State::failed) entry.state = old->state;
      if (entry.state == State::in_flight) ++awaited_;
      ++old;
    } else if (!takes(record)) {
      entry.state = State::delivered;
    }
    current_.push_back(entries_.size());
    entries_.push_back(entry);
  }
  for (; old != before_.end(); ++old) {
    if (old->state == State::in_flight || old->state == State::delivered) entries_.push_back(*old);
  }
  if (!before_.empty()) keep_order_of_keys();
}

void Outbox::keep_order_of_keys() {
  again_.clear();
  for (Entry& entry : entries_) {
    if (entry.state == State::to_send) {
      if (entry.key_hash != 0) again_.insert(entry.key_hash);
    } else if (entry.state == State::delivered && entry.bytes > 0 &&
               again_.contains(entry.key_hash)) {
      entry.state = State::to_send;
    }
  }
}

void Outbox::sent(std::size_t index, const Sent& message) noexcept {
  Entry& entry = entries_[current_[index]];
  TW_CHECK(entry.state == State::to_send);
  entry.state = State::in_flight;
  entry.bytes = static_cast<std::uint32_t>(message.bytes);
  entry.topic = static_cast<std::uint32_t>(message.topic);
  ++in_flight_;
  ++awaited_;
}

Outbox::Entry* Outbox::find(std::uint64_t sequence) noexcept {
  auto found = std::ranges::lower_bound(entries_, sequence, {}, &Entry::sequence);
  return found != entries_.end() && found->sequence == sequence ? &*found : nullptr;
}

void Outbox::reported(std::uint64_t sequence, rd_kafka_resp_err_t error) noexcept {
  Entry* entry = find(sequence);
  TW_CHECK(entry != nullptr && entry->state == State::in_flight);
  --in_flight_;
  entry->error = error;
  entry->state = error == RD_KAFKA_RESP_ERR_NO_ERROR ? State::delivered : State::failed;
  if (!entry->current) return;
  --awaited_;
  if (entry->state == State::failed) ++failed_;
}

void Outbox::forget_in_flight() noexcept {
  for (Entry& entry : entries_) {
    if (entry.state != State::in_flight) continue;
    entry.state = State::failed;
    entry.error = RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
    if (entry.current) ++failed_;
  }
  in_flight_ = awaited_ = 0;
}

bool Outbox::done() const noexcept {
  return std::ranges::all_of(
      current_, [this](std::size_t at) { return entries_[at].state == State::delivered; });
}

std::uint64_t Outbox::prefix_end(std::uint64_t end) const noexcept {
  for (std::size_t at : current_) {
    if (entries_[at].state != State::delivered) return entries_[at].submission_first;
  }
  return end;
}

Outbox::Failure Outbox::failure() const noexcept {
  Failure first;
  for (std::size_t at : current_) {
    const Entry& entry = entries_[at];
    if (entry.state != State::failed || is_consequence(entry.error)) continue;
    if (first.messages == 0)
      first = {.sequence = entry.sequence, .topic = entry.topic, .error = entry.error};
    if (entry.error != first.error) continue;
    first.bytes = std::max<std::size_t>(first.bytes, entry.bytes);
    ++first.messages;
  }
  return first;
}

void Outbox::clear() noexcept {
  TW_CHECK(awaited_ == 0);
  const std::uint64_t last = current_.empty() ? 0 : entries_[current_.back()].sequence;
  std::erase_if(entries_, [last](const Entry& entry) {
    if (entry.state == State::in_flight) return false;
    return entry.sequence <= last || entry.state != State::delivered;
  });
  current_.clear();
  failed_ = 0;
}

}  // namespace trialwire::storage::kafka
