// SPDX-License-Identifier: Apache-2.0
#include "net/connection.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace trialwire::net {

struct Connection::Until {
  Connection& connection;
  Wait what;
  bool await_ready() const noexcept { return connection.due(what); }
  void await_suspend(std::coroutine_handle<> frame) noexcept {
    connection.frame_ = frame;
    connection.waiting_ = what;
  }
  void await_resume() const noexcept {}
};

Connection::Connection(Listener& listener, Accepted accepted) noexcept
    : listener_(listener),
      info_{std::move(accepted.origin)},
      address_(accepted.address),
      tls_(std::move(accepted.tls)),
      socket_(accepted.socket) {}

Connection::~Connection() {
  if (context_ != nullptr) {
    count_abandoned();
    context_->detach_incomplete(0);
    context_->release();
  }
  in_.release();
  account();
  ::close(socket_);
}

void Connection::open(Listener& listener, Accepted accepted) {
  auto* connection = new Connection(listener, std::move(accepted));
  listener.began(*connection);
  if (auto watched = listener.shard().watch(connection->socket_, *connection); !watched) {
    connection->finished();
    return;
  }
  connection->serve();
}

void Connection::finished() noexcept {
  listener_.shard().forget(socket_, *this);
  listener_.ended(*this);
  delete this;
}

bool Connection::due(Wait what) const noexcept {
  if (broken_ || expired_) return true;
  switch (what) {
    case Wait::readable:
      return readable_;
    case Wait::writable:
      return writable_;
    case Wait::answers:
      return !context_->waits();
    case Wait::permission:
      return permitted_;
    case Wait::turn:
      return turned_;
    case Wait::none:
      return true;
  }
  return true;
}

Connection::Until Connection::until(Wait what) noexcept {
  return {*this, what};
}

void Connection::resume_if_due() noexcept {
  if (waiting_ == Wait::none || !due(waiting_)) return;
  waiting_ = Wait::none;
  frame_.resume();  // may have destroyed this
}

void Connection::ready(std::uint32_t events) noexcept {
  if (events & (EPOLLIN | EPOLLRDHUP)) readable_ = true;
  if (events & EPOLLRDHUP) peer_closed_ = true;
  if (events & EPOLLOUT) writable_ = true;
  if (events & (EPOLLERR | EPOLLHUP)) broken_ = true;
  if (crossed_) {
    crossed_ = false;
    readable_ = writable_ = true;
  }
  resume_if_due();
}

void Connection::run() noexcept {
  turned_ = true;
  resume_if_due();
}

void Connection::expire() noexcept {
  expired_ = true;
  resume_if_due();
}

void Connection::permit() noexcept {
  permitted_ = true;
  listener_.shard().soon(*this);
}

void Connection::kill() noexcept {
  broken_ = true;
  resume_if_due();
}

void Connection::drain() noexcept {
  if (waiting_ == Wait::readable && idle() && !linger_) kill();
}

Task<Connection> Connection::serve() {
  while (!broken_ && !close_after_) {
    if (partial_ != Partial::whole_requests) {
      if (listener_.draining() && idle()) break;
      arm_for_input();
      co_await until(Wait::readable);
      if (broken_) break;
    }
    if (expired_) {
      give_up_input();
    } else {
      if (!listener_.may_read()) {
        permitted_ = false;
        listener_.wait_for_permission(*this);
        co_await until(Wait::permission);
        if (broken_) break;
        expired_ = false;
      }
      if (!take_in()) break;
    }
    if (context_ != nullptr && context_->waits()) {
      hold_output();
      context_->notify(this);
      const std::int64_t since_ns = listener_.shard().now_ns();
      do {
        arm_for_answers(since_ns);
        co_await until(Wait::answers);
        if (broken_) break;
        if (expired_) give_up_answers(since_ns);
      } while (context_->waits());
      if (broken_) break;
    }
    for (bool more = true; more && !broken_;) {
      more = render();
      send_output();
      while (!unsent_.empty() && !broken_) {
        expired_ = false;
        listener_.timeouts().arm(*this, Timeout::write, listener_.shard().now_ns());
        co_await until(Wait::writable);
        if (expired_) broken_ = true;
        if (!broken_) send_unsent();
      }
    }
    // What is still there is left for the next turn: nobody may keep a shard to himself.
    if ((readable_ || partial_ == Partial::whole_requests) && !close_after_ && !broken_) {
      turned_ = false;
      expired_ = false;
      disarm();
      listener_.shard().soon(*this);
      co_await until(Wait::turn);
    }
  }
  if (tls_ != nullptr) tls_->close_notify();
  if (broken_ || !(linger_ || readable_)) co_return;
  // To close with bytes unread would reset the connection, and the client might lose the answer.
  ::shutdown(socket_, SHUT_WR);
  expired_ = false;
  linger_ = true;
  listener_.timeouts().arm(*this, Timeout::linger, listener_.shard().now_ns());
  do {
    co_await until(Wait::readable);
  } while (!broken_ && !expired_ && !linger_over());
}

}  // namespace trialwire::net
