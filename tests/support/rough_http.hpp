// SPDX-License-Identifier: Apache-2.0
// The server's side of a test of an HTTP client: a thread a connection, and a handler that answers
// well or badly, with exactly the bytes that it likes. It can go away and come back on its port.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace trialwire::support {

struct RoughRequest {
  std::string line;  // "GET /path HTTP/1.1"
  std::string head;  // with the line
  std::string body;
  /// Value of a header, by its lower-case name; empty when absent.
  std::string header(std::string_view name) const {
    std::string lower = head;
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) {
      return static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    });
    const std::size_t at = lower.find(fmt::format("\r\n{}:", name));
    if (at == std::string::npos) return {};
    const std::size_t from = head.find_first_not_of(' ', at + name.size() + 3);
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

/// A whole answer that keeps the connection.
inline std::string rough_answer(int status, std::string_view body, std::string_view more = {}) {
  return fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(), more,
                     body);
}

class RoughHttp {
 public:
  class Peer {
   public:
    /// False: the client has gone, or the server stops.
    bool send(std::string_view bytes) {
      while (!bytes.empty()) {
        const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      }
      return true;
    }
    /// False: the server stops.
    bool wait(std::chrono::milliseconds time) {
      std::unique_lock lock(server_.mutex_);
      return !server_.wake_.wait_for(lock, time, [this] { return server_.stopping_; });
    }

   private:
    friend class RoughHttp;
    Peer(RoughHttp& server, int socket) : server_(server), socket_(socket) {}
    RoughHttp& server_;
    int socket_;
  };
  /// True: the connection is kept for the next request.
  using Handler = std::function<bool(Peer&, const RoughRequest&)>;

  explicit RoughHttp(Handler handler) : handler_(std::move(handler)) { start(); }
  ~RoughHttp() { stop(); }
  RoughHttp(const RoughHttp&) = delete;
  RoughHttp& operator=(const RoughHttp&) = delete;

  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }
  std::size_t connections() {
    const std::lock_guard lock(mutex_);
    return accepted_;
  }

  /// Listens, on the port of before if there was one.
  void start() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    where.sin_port = htons(port_);
    socklen_t size = sizeof where;
    auto* address = reinterpret_cast<sockaddr*>(&where);
    if (::bind(listener_, address, size) != 0 || ::listen(listener_, 128) != 0 ||
        ::getsockname(listener_, address, &size) != 0) {
      throw std::runtime_error("cannot listen");
    }
    port_ = ntohs(where.sin_port);
    const std::lock_guard lock(mutex_);
    stopping_ = false;
    threads_.emplace_back([this] { accept_all(); });
  }
  /// Closes all connections; nobody listens.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      stopping_ = true;
      for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    }
    wake_.notify_all();
    ::shutdown(listener_, SHUT_RDWR);
    threads_.front().join();  // none was added since it is stopping
    for (auto thread = threads_.begin() + 1; thread != threads_.end(); ++thread) thread->join();
    threads_.clear();
    ::close(listener_);
  }

 private:
  void accept_all() {
    for (;;) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const std::lock_guard lock(mutex_);
      if (socket < 0 || stopping_) {
        if (socket >= 0) ::close(socket);
        return;
      }
      ++accepted_;
      sockets_.push_back(socket);
      threads_.emplace_back([this, socket] { serve(socket); });
    }
  }

  void serve(int socket) {
    Peer peer(*this, socket);
    std::string bytes;
    RoughRequest request;
    while (read(socket, bytes, request) && handler_(peer, request)) {
    }
    const std::lock_guard lock(mutex_);
    std::erase(sockets_, socket);
    ::close(socket);
  }

  static bool more(int socket, std::string& bytes) {
    std::array<char, 16 << 10> part;
    const ssize_t got = ::recv(socket, part.data(), part.size(), 0);
    if (got <= 0) return false;
    bytes.append(part.data(), static_cast<std::size_t>(got));
    return true;
  }

  static bool read(int socket, std::string& bytes, RoughRequest& request) {
    std::size_t end = 0;
    while ((end = bytes.find("\r\n\r\n")) == std::string::npos) {
      if (!more(socket, bytes)) return false;
    }
    request.head = bytes.substr(0, end + 2);
    request.line = request.head.substr(0, request.head.find("\r\n"));
    const std::string length = request.header("content-length");
    std::size_t size = 0;
    std::from_chars(length.data(), length.data() + length.size(), size);
    while (bytes.size() < end + 4 + size) {
      if (!more(socket, bytes)) return false;
    }
    request.body = bytes.substr(end + 4, size);
    bytes.erase(0, end + 4 + size);
    return true;
  }

  Handler handler_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = true;              // under mutex_
  std::size_t accepted_ = 0;          // likewise
  std::vector<int> sockets_;          // likewise
  std::vector<std::thread> threads_;  // likewise, but for the one who stops
};

}  // namespace trialwire::support
