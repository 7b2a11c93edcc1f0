// SPDX-License-Identifier: Apache-2.0
// What became of each record of a delivery, so that after a failure only what must be sent again
// is, and the cursor passes a contiguous prefix of delivered records only. Pure; used by one
// thread.
//
//   to_send ──sent──▶ in_flight ──reported──▶ delivered
//      ▲                  │
//      └── the next begin ┴──▶ failed
//
// A delivery that failed comes again, whole or in parts, the first part first: `begin` knows its
// records by sequence, and what was delivered of a later part stays known until that comes. Of one
// key the order is kept: where a record has to be sent again, so has every later one of its key,
// delivered or not.
#pragma once
#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <unordered_set>
#include <vector>

#include "journal/record.hpp"

namespace trialwire::storage::kafka {

class Outbox {
 public:
  /// The records of a delivery, ascending. Those that `takes` says no to count as delivered.
  void begin(std::span<const journal::Record> records,
             const std::function<bool(const journal::Record&)>& takes);

  // By index in the delivery:
  bool must_send(std::size_t index) const noexcept {
    return entries_[current_[index]].state == State::to_send;
  }
  struct Sent {
    std::size_t topic = 0;
    std::size_t bytes = 0;
  };
  void sent(std::size_t index, const Sent& message) noexcept;

  void reported(std::uint64_t sequence, rd_kafka_resp_err_t error) noexcept;
  /// Their outcome will never be known.
  void forget_in_flight() noexcept;

  /// Of this delivery and of earlier ones, whose reports will come.
  std::size_t in_flight() const noexcept { return in_flight_; }
  /// Of this delivery alone: what it has to wait for.
  std::size_t awaited() const noexcept { return awaited_; }
  /// Of this delivery something has.
  bool has_failed() const noexcept { return failed_ > 0; }
  /// Every record of the delivery is delivered.
  bool done() const noexcept;
  /// The sequence of the first one that is not, or of the first one of its submission; with none of
  /// them, `end`.
  std::uint64_t prefix_end(std::uint64_t end) const noexcept;

  struct Failure {
    std::uint64_t sequence = 0;
    std::size_t topic = 0;
    std::size_t bytes = 0;  // of the largest message that failed so
    std::size_t messages = 0;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  };
  /// The first of the delivery's own failures that is not a consequence of another; error 0: none.
  Failure failure() const noexcept;

  /// All of the delivery is settled: what was delivered behind it is remembered, and what earlier
  /// ones have in flight.
  void clear() noexcept;

 private:
  enum class State : std::uint8_t { to_send, in_flight, delivered, failed };
  struct Entry {
    std::uint64_t sequence = 0;
    std::uint64_t submission_first = 0;  // sequence of the first record of its submission
    std::uint32_t key_hash = 0;
    std::uint32_t bytes = 0;  // 0: it was never sent
    std::uint32_t topic = 0;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
    State state = State::to_send;
    bool current = false;  // of this delivery
  };
  Entry* find(std::uint64_t sequence) noexcept;
  void keep_order_of_keys();

  std::vector<Entry> entries_;        // ascending by sequence
  std::vector<Entry> before_;         // of the delivery before
  std::vector<std::size_t> current_;  // of this delivery, in `entries_`
  std::size_t in_flight_ = 0;
  std::size_t awaited_ = 0;
  std::size_t failed_ = 0;
  std::unordered_set<std::uint32_t> again_;
};

}  // namespace trialwire::storage::kafka
