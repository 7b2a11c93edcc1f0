// SPDX-License-Identifier: Apache-2.0
// One client connection of a worker: socket, what is in flight on it, and what is half sent or half
// received. Bounded by the pipeline depth; owned and used by one worker's thread.
#pragma once
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "loadgen/tls_client.hpp"

namespace trialwire::loadgen {

/// Where to connect, resolved once.
struct Endpoint {
  sockaddr_storage address{};
  socklen_t size = 0;
  std::string name;  // "host:port" for messages and the Host header
  std::string host;
  std::shared_ptr<SSL_CTX> tls;  // null: plain
};

Result<Endpoint> resolve(const std::string& host, std::uint16_t port);

/// A request that waits for its answer.
struct InFlight {
  std::int64_t since_ns = 0;  // when it was due (open loop) or sent (closed loop)
  std::uint64_t number = 0;   // its source's
};

class Connection {
 public:
  enum class State : std::uint8_t { closed, connecting, open };
  enum class Sent : std::uint8_t { all, partly, failed };

  Connection() = default;
  ~Connection() { close(); }
  Connection(Connection&& other) noexcept;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  Connection& operator=(Connection&&) = delete;

  /// `ring` holds the requests in flight; its size is a power of two.
  void use_ring(std::span<InFlight> ring) noexcept { ring_ = ring; }

  /// Starts a non-blocking connect and has `epoll` report on it with `tag`, edge-triggered. 0, or
  /// an errno: then the connection is closed.
  int open(const Endpoint& endpoint, int epoll, std::uint32_t tag);
  /// Takes over a socket whose connect was started elsewhere.
  void adopt(int descriptor) noexcept;
  /// The outcome of the connect, once writable, and with TLS of the handshake: 0, EINPROGRESS when
  /// that goes on, or an errno.
  int finish_open() noexcept;
  /// Forgets what was in flight.
  void close() noexcept;
  /// Why finish_open said EPROTO.
  [[nodiscard]] std::string tls_trouble() const { return tls_ ? tls_->trouble() : ""; }

  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return tail_ - head_; }
  [[nodiscard]] bool send_blocked() const noexcept { return !unsent_.empty(); }

  void push(InFlight request) noexcept { ring_[tail_++ & (ring_.size() - 1)] = request; }
  InFlight pop() noexcept { return ring_[head_++ & (ring_.size() - 1)]; }

  /// Sends; what the socket does not take now is kept and goes first when it is writable again.
  Sent send(std::string_view bytes);
  Sent send_rest();
  /// As ::recv.
  ssize_t receive(char* to, std::size_t room) noexcept;

  std::string partial;              // the start of an answer whose end has not come
  std::int64_t last_answer_ns = 0;  // or when the first of those in flight was sent
  std::uint64_t answers = 0;        // since it was opened
  bool queued = false;              // in the worker's list of free connections
  bool server_closes = false;       // said "Connection: close"

 private:
  [[nodiscard]] bool connected_to_itself() const noexcept;
  ssize_t put(const char* from, std::size_t size) noexcept;

  int descriptor_ = -1;
  std::unique_ptr<TlsClient> tls_;
  bool joined_ = false;  // TCP's part of the connect is over
  State state_ = State::closed;
  std::uint32_t head_ = 0;
  std::uint32_t tail_ = 0;
  std::span<InFlight> ring_;
  std::string unsent_;
  std::size_t unsent_at_ = 0;
};

}  // namespace trialwire::loadgen
