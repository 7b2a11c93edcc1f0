// SPDX-License-Identifier: Apache-2.0
#include "net/listener.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "net/connection.hpp"
#include "net/socket.hpp"
#include "telemetry/log.hpp"

namespace trialwire::net {
namespace {

// What comes in bursts, as clients that are slow on purpose do, takes turns with what others have
// sent: 250 expired connections at once would hold up all others for 10 ms.
constexpr int accepts_per_turn = 16;
constexpr unsigned expiries_per_turn = 8;

}  // namespace

Listener::Listener(runtime::Shard& shard, std::shared_ptr<ServerCore> core,
                   telemetry::Registry& registry, int socket)
    : shard_(shard),
      core_(std::move(core)),
      metrics_(registry, core_->options.name, core_->router.routes().size(), core_->options.log),
      traces_(core_->options.trace, core_->options.name, registry),
      admission_(std::make_shared<Admission>(core_->admission, shard.index(), registry)),
      breakers_(core_->breakers, core_->router.routes().size()),
      pool_(ContextPool::create(admission_)),
      exchange_(shard, workspace_.writer, *pool_),
      socket_(socket) {
  const ServerOptions& o = core_->options;
  timeouts_.limit(Timeout::idle, o.idle_timeout);
  timeouts_.limit(Timeout::header, o.header_timeout);
  timeouts_.limit(Timeout::body, o.body_timeout);
  timeouts_.limit(Timeout::deadline, o.request_deadline);
  timeouts_.limit(Timeout::write, o.write_timeout);
  timeouts_.limit(Timeout::linger, o.linger_timeout);
}

Listener::~Listener() {
  close();
  pool_->close();
}

void Listener::ready(std::uint32_t) noexcept {
  accept_some();
}
void Listener::run() noexcept {
  if (std::exchange(accept_on_, false)) accept_some();
  if (std::exchange(expire_on_, false)) expire_some();
}

void Listener::accept_some() noexcept {
  for (int i = 0; i < accepts_per_turn; ++i) {
    if (socket_ < 0) return;
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    int socket =
        ::accept4(socket_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      accepted(socket, peer);
      continue;
    }
    if (errno == EAGAIN) return;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // The edge is gone, the connections still wait in the kernel: the tick tries again.
      if (!accept_again_) {
        telemetry::log(telemetry::LogLevel::warn, "net", "cannot accept connections",
                       {{"server", std::string_view(core_->options.name)},
                        {"errno", static_cast<std::int64_t>(errno)}});
      }
      accept_again_ = true;
      return;
    }
    // Everything else concerns the one connection that failed before it was accepted.
  }
  accept_on_ = true;
  shard_.soon(*this);
}

void Listener::expire_some() noexcept {
  if (closed_) return;
  expire_on_ =
      timeouts_.check(shard_.now_ns(), expiries_per_turn, [this](TimeoutHook& hook, Timeout kind) {
        metrics_.timed_out(kind);
        static_cast<Connection&>(hook).expire();
      });
  if (expire_on_) shard_.soon(*this);
}

void Listener::accepted(int socket, const sockaddr_storage& peer) noexcept {
  accept_again_ = false;
  if (core_->connections.fetch_add(1) >= core_->options.connections_max) {
    core_->connections.fetch_sub(1);
    turn_away(socket);
    return;
  }
  metrics_.accepted.add();
  const AdmissionCommon& admission = admission_->common();
  const TlsCertificates* tls = core_->options.tls;
  Connection::open(*this,
                   {.socket = socket,
                    .origin = fmt::format("{} {}", core_->options.name, address_text(peer)),
                    .address = admission.knows_addresses() ? admission.key_of(peer) : Hash128{},
                    .tls = tls == nullptr ? nullptr : tls->accept(socket)});
}

void Listener::turn_away(int socket) noexcept {
  metrics_.turned_away.add();
  if (core_->options.tls != nullptr) {  // an answer would want a handshake first
    ::close(socket);
    return;
  }
  constexpr std::string_view answer =
      "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
      "Content-Type: application/problem+json\r\nContent-Length: 106\r\nConnection: close\r\n\r\n"
      R"({"type":"about:blank","title":"Service Unavailable","status":503,)"
      R"("error":"there are too many connections"})";
  constexpr std::size_t head_end = answer.find("\r\n\r\n") + 4;
  static_assert(answer.size() - head_end == 106);
  [[maybe_unused]] auto sent = ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
  ::shutdown(socket, SHUT_WR);
  // A request that is there already would turn the close into a reset.
  std::array<char, 4096> discarded;
  [[maybe_unused]] auto read = ::recv(socket, discarded.data(), discarded.size(), MSG_DONTWAIT);
  ::close(socket);
}

void Listener::stop_listening() noexcept {
  if (socket_ < 0) return;
  shard_.forget(socket_, *this);
  ::close(socket_);
  socket_ = -1;
}

void Listener::drain() noexcept {
  if (closed_ || draining_) return;
  draining_ = true;
  stop_listening();
  for (auto it = connections_.begin(); it != connections_.end();) (it++)->drain();
}

void Listener::close() noexcept {
  if (closed_) return;
  closed_ = true;
  draining_ = true;
  stop_listening();
  while (!connections_.empty()) connections_.front().kill();
  workspace_.output.release();
}

void Listener::tick() noexcept {
  if (closed_) return;
  admission_->tick(shard_.now_ns(), shard_.lag_ns());
  breakers_.tick(shard_.now_ns());
  expire_some();
  if (accept_again_) accept_some();
}

void Listener::turn_end() noexcept {
  if (waiting_.empty() || !may_read()) return;
  while (!waiting_.empty()) {
    Connection& connection = waiting_.front();
    waiting_.pop_front();
    connection.permit();
  }
}

bool Listener::may_read() noexcept {
  const ServerOptions& options = core_->options;
  if (!options.may_read || options.may_read()) {
    overloaded_since_ns_ = 0;
    return true;
  }
  if (overloaded_since_ns_ == 0) overloaded_since_ns_ = shard_.now_ns();
  std::chrono::nanoseconds waited(shard_.now_ns() - overloaded_since_ns_);
  return waited >= options.overload_wait;
}

void Listener::wait_for_permission(Connection& connection) noexcept {
  waiting_.push_back(connection);
}

bool Listener::account_partial(std::size_t before, std::size_t after) noexcept {
  if (before == after) return true;
  partial_bytes_ += after - before;
  metrics_.partial_bytes.set(static_cast<double>(partial_bytes_));
  return after < before || partial_bytes_ <= core_->options.shard_partial_bytes_max;
}

void Listener::began(Connection& connection) noexcept {
  connections_.push_back(connection);
  metrics_.open.add(1);
}

void Listener::ended(Connection&) noexcept {
  core_->connections.fetch_sub(1);
  metrics_.open.add(-1);
}

}  // namespace trialwire::net
