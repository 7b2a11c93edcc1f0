// SPDX-License-Identifier: Apache-2.0
// One server's part on one shard: the listening socket, its connections, and what they share: the
// buffers for reading and writing, the writer, the time limits, the metrics. Shard's thread only,
// but for construction, which comes before the shard starts.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "net/admission.hpp"
#include "net/byte_buffer.hpp"
#include "net/head_parser.hpp"
#include "net/http1_writer.hpp"
#include "net/http_exchange.hpp"
#include "net/http_metrics.hpp"
#include "net/parser.hpp"
#include "net/read_context.hpp"
#include "net/request_traces.hpp"
#include "net/route_breakers.hpp"
#include "net/router.hpp"
#include "net/server.hpp"
#include "net/timeouts.hpp"
#include "runtime/shard.hpp"

namespace trialwire::net {

class Connection;

/// What all listeners of a server share.
struct ServerCore {
  ServerOptions options;
  const Router& router;
  std::string allow_any;                       // every method that some route has
  std::shared_ptr<AdmissionCommon> admission;  // shared with what outlives the listeners
  std::shared_ptr<RouteBreakers> breakers;     // null: no route has one
  std::atomic<std::size_t> connections{0};
};

struct ConnectionTag;
using ConnectionHook =
    boost::intrusive::list_base_hook<boost::intrusive::tag<ConnectionTag>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
struct OverloadTag;
using OverloadHook =
    boost::intrusive::list_base_hook<boost::intrusive::tag<OverloadTag>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// Scratch of a shard: in use only between two suspensions of one connection.
struct Workspace {
  static constexpr std::size_t input_bytes = 256 << 10;

  // Not initialised: pages that no read has touched cost nothing.
  std::unique_ptr<char[]> input =
      std::make_unique_for_overwrite<char[]>(input_bytes + body_padding);
  ByteBuffer output;
  DateLine date;
  Http1Writer writer{output, date};
  HeadParser parser;
  RequestHead head;  // what `parser` found last
  std::array<char, rate_lines_max> rate_lines{};
  Request request;
  Router::Match match;
  std::array<PathParam, path_params_max> params;
  std::string param_text;
};

class Listener final : public runtime::Watcher, public runtime::Runnable {
 public:
  /// Takes the listening socket.
  Listener(runtime::Shard& shard, std::shared_ptr<ServerCore> core, telemetry::Registry& registry,
           int socket);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void drain() noexcept;
  /// Ends listener and connections; further calls do nothing.
  void close() noexcept;
  void tick() noexcept;
  void turn_end() noexcept;

  void ready(std::uint32_t events) noexcept override;
  void run() noexcept override;

  // For its connections.
  runtime::Shard& shard() noexcept { return shard_; }
  const ServerOptions& options() const noexcept { return core_->options; }
  const ServerCore& core() const noexcept { return *core_; }
  Workspace& workspace() noexcept { return workspace_; }
  HttpMetrics& metrics() noexcept { return metrics_; }
  RequestTraces& traces() noexcept { return traces_; }
  Timeouts& timeouts() noexcept { return timeouts_; }
  HttpExchange& exchange() noexcept { return exchange_; }
  Admission& admission() noexcept { return *admission_; }
  ShardBreakers& breakers() noexcept { return breakers_; }
  bool draining() const noexcept { return draining_; }
  /// False: the connection is to wait, see `wait_for_permission`.
  bool may_read() noexcept;
  void wait_for_permission(Connection& connection) noexcept;
  /// A connection's buffer of an incomplete request changed; false: the shard holds too much.
  bool account_partial(std::size_t before, std::size_t after) noexcept;
  void began(Connection& connection) noexcept;
  void ended(Connection& connection) noexcept;
  std::size_t orphans() const noexcept { return pool_->orphans(); }

 private:
  void accept_some() noexcept;
  void expire_some() noexcept;
  void accepted(int socket, const struct sockaddr_storage& peer) noexcept;
  void turn_away(int socket) noexcept;
  void stop_listening() noexcept;

  runtime::Shard& shard_;
  std::shared_ptr<ServerCore> core_;  // shared: its listeners end on their own threads
  HttpMetrics metrics_;
  RequestTraces traces_;
  std::shared_ptr<Admission> admission_;  // with the pool, which may outlive this
  ShardBreakers breakers_;
  ContextPool* pool_;
  Workspace workspace_;
  HttpExchange exchange_;
  Timeouts timeouts_;
  boost::intrusive::list<Connection, boost::intrusive::base_hook<ConnectionHook>,
                         boost::intrusive::constant_time_size<false>>
      connections_;
  boost::intrusive::list<Connection, boost::intrusive::base_hook<OverloadHook>,
                         boost::intrusive::constant_time_size<false>>
      waiting_;
  int socket_;
  std::size_t partial_bytes_ = 0;
  std::int64_t overloaded_since_ns_ = 0;
  bool accept_again_ = false;  // at the next tick
  bool accept_on_ = false;     // at the next turn
  bool expire_on_ = false;
  bool draining_ = false;
  bool closed_ = false;
};

}  // namespace trialwire::net
