// SPDX-License-Identifier: Apache-2.0
#include "support/http_client.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <stdexcept>

#include "net/http.hpp"
#include "net/socket.hpp"

namespace trialwire::support {

std::string HttpAnswer::header(std::string_view name) const {
  std::string_view rest = head;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find("\r\n"));
    rest.remove_prefix(std::min(rest.size(), line.size() + 2));
    std::size_t colon = line.find(": ");
    if (colon != std::string_view::npos && net::equal_ignoring_case(line.substr(0, colon), name))
      return std::string(line.substr(colon + 2));
  }
  return {};
}

HttpClient::HttpClient(const std::string& address) {
  auto to = net::parse_address(address);
  if (!to) throw std::runtime_error(to.error().text);
  socket_ = ::socket(to->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&to->storage), to->size) != 0) {
    ::close(socket_);
    throw std::runtime_error("cannot connect to " + address);
  }
  timeval limit{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

HttpClient::~HttpClient() {
  ::close(socket_);
}

ssize_t HttpClient::put(const char* from, std::size_t size) {
  return uninterrupted([&] { return ::send(socket_, from, size, MSG_NOSIGNAL); });
}

ssize_t HttpClient::take(char* to, std::size_t room) {
  return uninterrupted([&] { return ::recv(socket_, to, room, 0); });
}

void HttpClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = put(bytes.data(), bytes.size());
    if (sent <= 0) return;  // the server has closed: what it said first is still to be read
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void HttpClient::end_sending() {
  ::shutdown(socket_, SHUT_WR);
}

void HttpClient::reset() {
  linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  ::close(socket_);
  socket_ = -1;
}

bool HttpClient::fill() {
  std::array<char, 65'536> chunk;
  ssize_t received = take(chunk.data(), chunk.size());
  if (received <= 0) {
    closed_ = received == 0;
    return false;
  }
  buffer_.append(chunk.data(), static_cast<std::size_t>(received));
  return true;
}

HttpAnswer HttpClient::read(bool head_only) {
  std::size_t end;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (!fill()) return {};
  HttpAnswer answer;
  answer.head = buffer_.substr(0, end + 2);
  if (answer.head.size() > 12) answer.status = std::atoi(answer.head.c_str() + 9);
  std::size_t bytes = 0;
  if (!head_only) bytes = std::strtoull(answer.header("Content-Length").c_str(), nullptr, 10);
  while (buffer_.size() < end + 4 + bytes)
    if (!fill()) return {};
  answer.body = buffer_.substr(end + 4, bytes);
  buffer_.erase(0, end + 4 + bytes);
  return answer;
}

std::vector<HttpAnswer> HttpClient::read_many(std::size_t count) {
  std::vector<HttpAnswer> answers;
  while (answers.size() < count) {
    answers.push_back(read());
    if (answers.back().status == 0) break;
  }
  return answers;
}

std::string HttpClient::read_to_end() {
  while (fill()) {
  }
  return std::exchange(buffer_, {});
}

std::string HttpClient::read_some() {
  if (buffer_.empty()) fill();
  return std::exchange(buffer_, {});
}

}  // namespace trialwire::support
