// SPDX-License-Identifier: Apache-2.0
// A connection's way from bytes to requests.
#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "net/connection.hpp"

namespace trialwire::net {
namespace {

/// Of a body that is malformed to its decoder.
Refusal refusal_of(const ChunkDecoder& decoder) noexcept {
  if (decoder.over_limit()) return {413, "the body is too large"};
  if (decoder.trailers_over_limit()) return {431, "the trailers are too long"};
  return {400, "the chunked body is malformed"};
}

}  // namespace

void Connection::arm_for_input() noexcept {
  expired_ = false;
  Timeout kind = Timeout::idle;
  const bool greeting = tls_ != nullptr && !tls_->established();
  if (partial_ == Partial::head || greeting) kind = Timeout::header;
  if (partial_ == Partial::sized_body || partial_ == Partial::chunked_body) kind = Timeout::body;
  // A head has its time from its first byte on, a body as long as it makes progress.
  if (kind == Timeout::header && armed_as(kind)) return;
  if (kind == Timeout::body && armed_as(kind) &&
      progress_ < listener_.options().body_progress_bytes)
    return;
  progress_ = 0;
  listener_.timeouts().arm(*this, kind, listener_.shard().now_ns());
}

/// False: the client has closed.
bool Connection::take_in() {
  read_ns_ = listener_.shard().now_ns();
  if (partial_ == Partial::sized_body) return take_in_body();
  char* input = listener_.workspace().input.get();
  const ServerOptions& options = listener_.options();
  std::size_t room = std::clamp(options.connection_unacknowledged_bytes_max,
                                std::min(options.head_bytes_max + 1, Workspace::input_bytes),
                                Workspace::input_bytes);
  if (partial_ == Partial::whole_requests) {
    std::size_t size = in_.size();
    std::memcpy(input, in_.data(), size);
    drop_input();
    parse(input, size, 0);
    return true;
  }
  std::size_t kept = 0;
  if (partial_ == Partial::head) {
    kept = in_.size();
    std::memcpy(input, in_.data(), kept);
  }
  TW_CHECK(kept < room);
  long received = receive(input + kept, room - kept);
  if (received <= 0) return received == 0;
  auto size = static_cast<std::size_t>(received);
  if (partial_ == Partial::chunked_body) {
    take_in_chunks(input, size);
  } else if (kept != 0 && kept + size < options.request_line_bytes_max &&
             std::memchr(input + kept, '\n', size) == nullptr) {
    // No line was ended: parsing again would find nothing new.
    in_.append({input + kept, size});
    account();
  } else {
    parse(input, kept + size, kept);
  }
  return true;
}

/// The first `kept` bytes are those that `in_` holds.
void Connection::parse(char* data, std::size_t size, std::size_t kept) {
  Workspace& work = listener_.workspace();
  const ServerOptions& options = listener_.options();
  const HeadLimits limits{options.head_bytes_max, options.request_line_bytes_max};
  std::size_t at = 0;
  std::size_t requests = 0;
  while (at < size && !close_after_) {
    if (requests == options.pipelined_max ||
        work.output.size() > options.connection_unacknowledged_bytes_max) {
      in_.clear();
      hold(Partial::whole_requests, {data + at, size - at}, {}, 0);
      return;
    }
    Refusal refusal;
    switch (work.parser.parse({data + at, size - at}, limits, work.head, refusal)) {
      case ParseState::refused:
        refuse(refusal);
        return;
      case ParseState::incomplete:
        if (kept != 0 && at == 0) {
          hold(Partial::head, {data + kept, size - kept}, {}, 0);
        } else {
          in_.clear();
          hold(Partial::head, {data + at, size - at}, {}, 0);
        }
        return;
      case ParseState::complete:
        break;
    }
    std::size_t taken = take_request(data + at, size - at);
    if (taken == 0) return;
    at += taken;
    ++requests;
  }
  if (at < size) linger_ = true;
  drop_input();
}

/// Of the request whose head has been parsed: bytes of the whole; 0: it is held, or refused.
std::size_t Connection::take_request(char* at, std::size_t size) {
  RequestHead& head = listener_.workspace().head;
  std::size_t body_bytes_max = match_route();
  std::size_t there = size - head.bytes;
  if (head.chunked) {
    char* body = at + head.bytes;
    ChunkDecoder decoder;
    auto step = decoder.decode(body, there, body, body_bytes_max);
    if (step.state == ChunkDecoder::State::done) {
      dispatch({body, step.produced}, step.consumed == there);
      return head.bytes + step.consumed;
    }
    if (step.state == ChunkDecoder::State::malformed) {
      refuse(refusal_of(decoder));
      return 0;
    }
    if (!accepts_body()) return 0;
    chunks_ = decoder;
    head_bytes_ = head.bytes;
    in_.clear();
    hold(Partial::chunked_body, {at, head.bytes}, {body, step.produced}, 0);
    return 0;
  }
  if (head.content_length > body_bytes_max) {
    refuse({413, "the body is too large"});
    return 0;
  }
  auto body_bytes = static_cast<std::size_t>(head.content_length);
  if (body_bytes <= there) {
    dispatch({at + head.bytes, body_bytes}, body_bytes == there);
    return head.bytes + body_bytes;
  }
  if (!accepts_body()) return 0;
  expected_ = head.bytes + body_bytes;
  in_.clear();
  hold(Partial::sized_body, {at, size}, {}, expected_);
  return 0;
}

/// Before a body is waited for. False: answered already, the body is not wanted.
bool Connection::accepts_body() {
  Workspace& work = listener_.workspace();
  if (work.match.route != nullptr) {
    if (!admitted_before_its_body()) return false;
    continue_due_ = work.head.expects_continue;
    return true;
  }
  // Of no use to anybody: the client gets its answer, and whether the body still comes is unknown.
  work.head.keep_alive = false;
  work.parser.forget();
  linger_ = true;
  dispatch({}, true);
  drop_input();
  return false;
}

/// Keeps an incomplete request until more of it arrives. `expected`: bytes of the whole, if known.
void Connection::hold(Partial kind, std::string_view first, std::string_view second,
                      std::size_t expected) {
  std::size_t bytes = in_.size() + first.size() + second.size();
  std::size_t room = std::max<std::size_t>(bytes + bytes / 2, 512);
  if (expected != 0) room = std::min(room, expected);
  in_.reserve_exactly(std::max(room, bytes) + body_padding);
  in_.append(first);
  in_.append(second);
  partial_ = kind;
  account();
  if (accounted_ == 0) refuse({503, "too many incomplete requests"});
}

void Connection::account() noexcept {
  std::size_t now = in_.capacity();
  bool within = listener_.account_partial(accounted_, now);
  accounted_ = now;
  if (!within) {
    in_.release();
    listener_.account_partial(accounted_, 0);
    accounted_ = 0;
    partial_ = Partial::none;
  }
}

void Connection::drop_input() noexcept {
  in_.release();
  account();
  partial_ = Partial::none;
}

bool Connection::take_in_body() {
  if (in_.capacity() - in_.size() <= body_padding) {
    in_.reserve_exactly(std::min(expected_, std::max<std::size_t>(in_.size() * 2, 4096)) +
                        body_padding);
    account();
    if (accounted_ == 0) {
      refuse({503, "too many incomplete requests"});
      return true;
    }
  }
  std::size_t room = std::min(expected_ - in_.size(), in_.capacity() - in_.size() - body_padding);
  long received = receive(in_.data() + in_.size(), room);
  if (received <= 0) return received == 0;
  in_.commit(static_cast<std::size_t>(received));
  progress_ += static_cast<std::size_t>(received);
  if (in_.size() < expected_) return true;
  // The head was parsed when it arrived; its views have died with that read.
  Workspace& work = listener_.workspace();
  const ServerOptions& options = listener_.options();
  Refusal refusal;
  TW_CHECK(work.parser.parse(in_.view(), {options.head_bytes_max, options.request_line_bytes_max},
                             work.head, refusal) == ParseState::complete);
  match_route();
  partial_ = Partial::none;
  dispatch(in_.view().substr(work.head.bytes), true);
  drop_input();
  return true;
}

void Connection::take_in_chunks(char* data, std::size_t size) {
  Workspace& work = listener_.workspace();
  const ServerOptions& options = listener_.options();
  Refusal refusal;
  // The head again: the route's limit and, at the end, the request need it.
  TW_CHECK(work.parser.parse(in_.view().substr(0, head_bytes_),
                             {options.head_bytes_max, options.request_line_bytes_max}, work.head,
                             refusal) == ParseState::complete);
  std::size_t body_bytes_max = match_route();
  auto step = chunks_.decode(data, size, data, body_bytes_max - (in_.size() - head_bytes_));
  if (step.state == ChunkDecoder::State::malformed) {
    refuse(refusal_of(chunks_));
    return;
  }
  progress_ += size;
  if (in_.capacity() - in_.size() < step.produced + body_padding) {
    in_.reserve_exactly(std::max(in_.size() * 2, in_.size() + step.produced) + body_padding);
    account();
    if (accounted_ == 0) {
      refuse({503, "too many incomplete requests"});
      return;
    }
    // The buffer has moved, and the head's views with it.
    TW_CHECK(work.parser.parse(in_.view().substr(0, head_bytes_),
                               {options.head_bytes_max, options.request_line_bytes_max}, work.head,
                               refusal) == ParseState::complete);
    match_route();
  }
  in_.append({data, step.produced});
  if (step.state == ChunkDecoder::State::more) return;
  partial_ = Partial::none;
  dispatch(in_.view().substr(head_bytes_), step.consumed == size);
  drop_input();
  if (close_after_) {
    if (step.consumed < size) linger_ = true;
    return;
  }
  if (step.consumed < size) parse(data + step.consumed, size - step.consumed, 0);
}

/// The time for a head or body is over, or for a first byte.
void Connection::give_up_input() {
  bool begun = partial_ == Partial::sized_body || partial_ == Partial::chunked_body;
  if (partial_ == Partial::head)
    begun = in_.view().find_first_not_of("\r\n") != std::string_view::npos;
  if (!begun) {
    broken_ = true;
    return;
  }
  refuse({408, "the request did not arrive in time"});
}

}  // namespace trialwire::net
