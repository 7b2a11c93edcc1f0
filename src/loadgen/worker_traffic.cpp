// SPDX-License-Identifier: Apache-2.0
// The part of Worker that every request passes: sending and taking answers.
#include <algorithm>
#include <cerrno>

#include "loadgen/worker.hpp"

namespace trialwire::loadgen {

void Worker::offer(Tag tag) {
  Connection& connection = connections_[tag];
  if (!schedule_) {
    refill(tag);
    return;
  }
  if (connection.queued || connection.send_blocked() ||
      connection.in_flight() >= options_.load.pipeline) {
    return;
  }
  connection.queued = true;
  free_[(free_head_ + free_count_++) % free_.size()] = tag;
}

void Worker::refill(Tag tag) {
  const Connection& connection = connections_[tag];
  if (schedule_) {
    offer(tag);
    return;
  }
  while (sending_ && unsent_count_ > 0 && connection.state() == Connection::State::open &&
         !connection.send_blocked() && connection.in_flight() < options_.load.pipeline) {
    send(tag, options_.load.pipeline - connection.in_flight(), now_);
  }
}

void Worker::send_due() {
  // However many are due: whoever stops the run is heard between turns.
  constexpr unsigned turn_max = 4096;
  for (unsigned turn = 0;
       schedule_ && sending_ && turn < turn_max && unsent_count_ > 0 && free_count_ > 0 &&
       schedule_->due_ns() <= std::min(now_, window_.measured_until_ns - 1);
       ++turn) {
    const Tag tag = free_[free_head_];
    free_head_ = (free_head_ + 1) % free_.size();
    --free_count_;
    Connection& connection = connections_[tag];
    connection.queued = false;
    // Closed since it was listed; it is offered again when it is open again.
    if (connection.state() != Connection::State::open) continue;
    const auto due = schedule_->due_ns();
    schedule_->advance();
    send(tag, 1, due);
    if (connection.state() == Connection::State::open) offer(tag);
  }
}

void Worker::send(Tag tag, unsigned requests_max, std::int64_t since_ns) {
  Connection& connection = connections_[tag];
  const auto wanted = static_cast<unsigned>(std::min<std::uint64_t>(requests_max, unsent_count_));
  const Burst burst = source_->take(wanted);
  if (connection.in_flight() == 0) connection.last_answer_ns = now_;
  for (unsigned i = 0; i < burst.requests; ++i) {
    connection.push({.since_ns = since_ns, .number = burst.number + i});
  }
  in_flight_ += burst.requests;
  unsent_count_ -= burst.requests;
  totals_.sent += burst.requests;
  totals_.bytes_sent += burst.bytes.size();
  if (connection.send(burst.bytes) == Connection::Sent::failed) {
    give_up(tag, "the server closed a connection");
  }
}

bool Worker::receive(Tag tag) {
  Connection& connection = connections_[tag];
  for (;;) {
    const std::size_t kept = connection.partial.size();
    if (kept * 2 > buffer_.size()) buffer_.resize(kept * 4);
    connection.partial.copy(buffer_.data(), kept);
    const std::size_t room = buffer_.size() - kept;
    const auto got = connection.receive(buffer_.data() + kept, room);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) {
      ended(tag, got == 0);
      return false;
    }
    now_ = monotonic_ns();
    totals_.bytes_received += static_cast<std::uint64_t>(got);
    std::string_view bytes(buffer_.data(), kept + static_cast<std::size_t>(got));
    if (!take_answers(connection, bytes)) {
      ++totals_.malformed;
      give_up(tag, "the server sent what is no HTTP/1.1 answer with a length");
      return false;
    }
    if (connection.server_closes) {
      ended(tag, true);
      return false;
    }
    connection.partial.assign(bytes);
    // A short read has emptied the socket; its next bytes, or its end, are a new event.
    if (static_cast<std::size_t>(got) < room) return true;
  }
}

// The server closes: no loss when it has answered all that it was sent.
void Worker::ended(Tag tag, bool orderly) {
  Connection& connection = connections_[tag];
  if (!orderly || connection.in_flight() > 0 || connection.answers == 0) {
    give_up(tag, "the server closed a connection");
    return;
  }
  connection.close();
  --open_;
  if (sending_) reopen(tag);
}

bool Worker::take_answers(Connection& connection, std::string_view& bytes) {
  while (!bytes.empty()) {
    const ParsedResponse answer = parse_response(bytes);
    if (answer.state == ParsedResponse::State::incomplete) return true;
    if (answer.state == ParsedResponse::State::malformed || connection.in_flight() == 0) {
      return false;
    }
    count_answer(connection.pop(), answer);
    connection.last_answer_ns = now_;
    connection.server_closes = connection.server_closes || answer.closes;
    ++connection.answers;
    bytes.remove_prefix(answer.consumed);
  }
  return true;
}

void Worker::count_answer(const InFlight& request, const ParsedResponse& answer) {
  --in_flight_;
  ++totals_.answered;
  ++totals_.by_status[static_cast<std::size_t>(answer.status)];
  last_answer_ns_ = now_;
  std::uint64_t accepted = 0;
  const bool lines = options_.load.ndjson > 0;
  if (answer.status < 300) {
    const std::uint64_t sent = source_->reports_in(request.number);
    accepted = lines ? std::min(number_after(answer.body, "\"accepted\":", sent), sent) : 1;
    totals_.rejected_reports += sent - accepted;
    if (receipts_ && answer.status == 200) {
      receipts_->add(answer.body, source_->report_ids(request.number));
    }
  } else {
    if (lines && answer.status == 400) {
      totals_.rejected_reports += source_->reports_in(request.number);
    }
    progress_.refused.store(progress_.refused.load(std::memory_order_relaxed) + 1,
                            std::memory_order_relaxed);
  }
  totals_.accepted_reports += accepted;
  // An open loop's latency counts for the window in which the request was due, a closed one's for
  // the window in which it was answered; a rate is always of answers.
  const bool answered_within = now_ >= window_.measured_from_ns && now_ < window_.measured_until_ns;
  if (answered_within) {
    ++totals_.window_answered;
    totals_.window_accepted_reports += accepted;
  }
  const bool counts = schedule_ ? request.since_ns >= window_.measured_from_ns &&
                                      request.since_ns < window_.measured_until_ns
                                : answered_within;
  if (counts) totals_.latency.record(static_cast<std::uint64_t>(now_ - request.since_ns));
}

}  // namespace trialwire::loadgen
