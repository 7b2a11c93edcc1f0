// SPDX-License-Identifier: Apache-2.0
#include "net/server.hpp"

#include <chrono>
#include <future>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "base/check.hpp"
#include "net/admission.hpp"
#include "net/listener.hpp"
#include "net/socket.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::net {
namespace {

std::string allowed_anywhere(const Router& router) {
  std::set<Method> methods;
  for (const auto& route : router.routes()) {
    methods.insert(route->method);
    if (route->method == Method::get) methods.insert(Method::head);
  }
  std::string text;
  for (Method method : methods) {
    if (!text.empty()) text += ", ";
    text += name_of(method);
  }
  return text;
}

Result<void> check(const ServerOptions& options) {
  auto refuse = [&](std::string_view what) {
    return fail(ErrorCode::invalid_argument, fmt::format("server {}: {}", options.name, what));
  };
  if (options.head_bytes_max < 512 || options.head_bytes_max > Workspace::input_bytes / 2)
    return refuse("head_bytes_max must be from 512 to 131072");
  if (options.request_line_bytes_max < 64) return refuse("request_line_bytes_max is under 64");
  if (options.pipelined_max == 0) return refuse("pipelined_max is 0");
  return {};
}

void publish_limits(telemetry::Registry& metrics, const ServerOptions& options) {
  auto gauge = [&](std::string_view name, std::string_view help, std::size_t value) {
    metrics.gauge(name, help, {{"server", options.name}}).set(static_cast<double>(value));
  };
  gauge("trialwire_http_connections_max",
        "Limit of open connections: the setting, or what open files allow.",
        options.connections_max);
  gauge("trialwire_http_partial_bytes_max", "Limit of memory for incomplete requests, a shard.",
        options.shard_partial_bytes_max);
  gauge("trialwire_http_body_bytes_max", "Limit of a request's body, unless its route has one.",
        options.body_bytes_max);
  if (options.tls != nullptr) {
    gauge("trialwire_tls_kept_buffers_max",
          "Connections up to which each keeps its buffers of TLS records.",
          options.tls_kept_buffers);
  }

  auto bound = [&](std::string_view limit, double value) {
    metrics
        .gauge("trialwire_http_limit",
               "Configured bounds of one connection and its requests, in the unit of their name.",
               {{"server", options.name}, {"limit", std::string(limit)}})
        .set(value);
  };
  auto size = [&](std::string_view limit, std::size_t value) {
    bound(limit, static_cast<double>(value));
  };
  auto time = [&](std::string_view limit, std::chrono::duration<double> value) {
    bound(limit, value.count());
  };
  size("request_line_bytes", options.request_line_bytes_max);
  size("request_head_bytes", options.head_bytes_max);
  size("body_progress_bytes", options.body_progress_bytes);
  size("pipelined_requests", options.pipelined_max);
  size("unacknowledged_bytes", options.connection_unacknowledged_bytes_max);
  size("linger_bytes", options.linger_bytes_max);
  time("header_seconds", options.header_timeout);
  time("body_seconds", options.body_timeout);
  time("idle_seconds", options.idle_timeout);
  time("request_seconds", options.request_deadline);
  time("write_seconds", options.write_timeout);
  time("linger_seconds", options.linger_timeout);
  time("overload_wait_seconds", options.overload_wait);
}

}  // namespace

struct Server::State {
  struct Part {
    runtime::Shard* shard;
    // Shared with work that is posted to the shard and with its hooks, which may run after the
    // server is gone; the listener is closed by then.
    std::shared_ptr<Listener> listener;
  };

  std::shared_ptr<ServerCore> core;
  telemetry::Registry& metrics;
  std::vector<Part> parts;
  std::string address;
};

Server::Server(ServerOptions options, const Router& router, telemetry::Registry& metrics)
    : state_(new State{.core = std::shared_ptr<ServerCore>(
                           new ServerCore{.options = std::move(options), .router = router}),
                       .metrics = metrics}) {
  state_->core->allow_any = allowed_anywhere(router);
  const ServerOptions& o = state_->core->options;
  state_->core->admission = std::make_shared<AdmissionCommon>(o.admission, o.name, metrics);
  if (o.route_breakers) {
    state_->core->breakers =
        std::make_shared<RouteBreakers>(router, *o.route_breakers, o.name, metrics);
  }
  publish_limits(metrics, o);
}

Server::~Server() {
  close();
}

Result<void> Server::listen(std::span<runtime::Shard* const> shards) {
  TW_CHECK(state_->parts.empty());
  if (auto checked = check(state_->core->options); !checked) return checked;
  auto opened =
      open_listeners(state_->core->options.listen, shards.size(), state_->core->options.backlog);
  if (!opened) return std::unexpected(opened.error());
  for (std::size_t i = 0; i < shards.size(); ++i) {
    runtime::Shard* shard = shards[i];
    int socket = opened->sockets[i];
    auto listener = std::make_shared<Listener>(*shard, state_->core, state_->metrics, socket);
    shard->at_tick([listener] { listener->tick(); });
    if (state_->core->options.may_read) shard->at_turn_end([listener] { listener->turn_end(); });
    auto watched = shard->watch(socket, *listener);
    state_->parts.push_back({shard, std::move(listener)});
    if (!watched) return watched;
  }
  state_->address = std::move(opened->address);
  return {};
}

std::string Server::address() const {
  return state_->address;
}

void Server::drain() {
  for (auto& part : state_->parts)
    part.shard->post([listener = part.listener] { listener->drain(); });
}

std::vector<RouteBreakerLook> Server::route_breakers() const {
  return state_->core->breakers ? state_->core->breakers->look() : std::vector<RouteBreakerLook>();
}

std::size_t Server::connections() const noexcept {
  return state_->core->connections.load();
}

void Server::close() {
  for (auto& part : state_->parts) {
    if (!part.shard->running()) {
      part.listener->close();
      continue;
    }
    auto closed = std::make_shared<std::promise<void>>();  // outlives the wait and the work
    part.shard->post([listener = part.listener, closed] {
      listener->close();
      closed->set_value();
    });
    closed->get_future().wait();
  }
  state_->parts.clear();
}

}  // namespace trialwire::net
