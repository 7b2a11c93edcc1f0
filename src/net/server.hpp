// SPDX-License-Identifier: Apache-2.0
// Listeners and connections of one address over a set of shards: one SO_REUSEPORT listener a shard,
// a connection lives and dies on the shard that accepted it.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "net/admission_options.hpp"
#include "net/gate.hpp"
#include "net/request_traces.hpp"
#include "net/route_breakers.hpp"
#include "net/router.hpp"
#include "runtime/shard.hpp"

namespace trialwire::telemetry {
class Registry;
}

namespace trialwire::net {

class TlsCertificates;

/// Which requests get a line in the log, as module "access". It holds the route's template, never
/// the target, and nothing of who asked.
struct RequestLog {
  bool every = false;
  std::chrono::nanoseconds slow{std::chrono::milliseconds(500)};  // at least so long; 0: none
  /// Lines a second of a shard for slow ones, unless every request has one: what is slow under
  /// load is slow for all, and lines for all would make it slower.
  std::uint32_t slow_lines = 10;
};

struct ServerOptions {
  std::string name = "http";  // in metrics and in ConnectionInfo::origin
  std::string listen;         // "127.0.0.1:8080", "[::1]:0"
  int backlog = 4096;
  std::size_t connections_max = 100'000;
  std::size_t head_bytes_max = 16 << 10;
  std::size_t request_line_bytes_max = 8 << 10;
  std::size_t body_bytes_max = 1 << 20;
  std::chrono::milliseconds header_timeout{10'000};
  std::chrono::milliseconds body_timeout{30'000};
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds request_deadline{5'000};
  /// Without a byte taken by the client.
  std::chrono::milliseconds write_timeout{30'000};
  /// After a refusal: how long and how much is still read, so that the client sees the answer.
  std::chrono::milliseconds linger_timeout{1'000};
  std::size_t linger_bytes_max = 1 << 20;
  /// A body must bring this much within `body_timeout`, or its end.
  std::size_t body_progress_bytes = 64 << 10;
  /// Of one connection: bytes read and not yet answered, and answers not yet sent.
  std::size_t connection_unacknowledged_bytes_max = 1 << 20;
  /// Requests of one read that are answered together.
  std::size_t pipelined_max = 1'024;
  /// Of all connections of a shard: incomplete requests. Beyond it one that grows is answered 503.
  std::size_t shard_partial_bytes_max = 256 << 20;
  /// False: no connection of the shard is read, for `overload_wait` at most; then reading goes on,
  /// and it is for the handlers to answer 503. Called before each read, on the shard's thread.
  std::function<bool()> may_read;
  std::chrono::milliseconds overload_wait{250};
  RequestLog log;
  /// Who may go on to a route's handler; null: everybody, as anonymous. Outlives the server.
  Gate* gate = nullptr;
  /// What connections are encrypted with; null: nothing. Outlives the server.
  const TlsCertificates* tls = nullptr;
  /// Up to so many connections keep OpenSSL's buffers of records between requests.
  std::size_t tls_kept_buffers = 1'024;
  TraceOptions trace;
  /// Rates, concurrency, shedding; everything is off by default.
  AdmissionOptions admission;
  /// A breaker before each route that is not exempt (route_breakers.hpp); nothing: there is none.
  std::optional<resilience::BreakerOptions> route_breakers;
};

class Server {
 public:
  Server(ServerOptions options, const Router& router, telemetry::Registry& metrics);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Binds on every shard. Fails with one clear line when the address is taken, also by a process
  /// that itself uses SO_REUSEPORT. Call before the shards start.
  Result<void> listen(std::span<runtime::Shard* const> shards);
  /// The address that listens, with the port that was taken.
  std::string address() const;

  /// Stops accepting; connections finish the requests they have read and close; idle ones close
  /// now. From any thread.
  void drain();
  /// Of routes that have one. From any thread.
  std::vector<RouteBreakerLook> route_breakers() const;
  /// Connections still open, over all shards.
  std::size_t connections() const noexcept;
  /// Closes what is left. After `drain`, before the shards stop.
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trialwire::net
