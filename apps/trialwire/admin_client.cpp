// SPDX-License-Identifier: Apache-2.0
#include "admin_client.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <memory>
#include <sstream>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

namespace trialwire {
namespace {

constexpr std::size_t answer_bytes_max = 64 << 20;

class Socket {
 public:
  explicit Socket(int descriptor) noexcept : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const noexcept { return descriptor_; }

 private:
  int descriptor_;
};

std::unexpected<Error> unreachable(std::string_view address, std::string_view why) {
  return fail(ErrorCode::unavailable, fmt::format("{}: {}", address, why));
}

std::string errno_text() {
  // A socket's time limit shows as EAGAIN.
  if (errno == EAGAIN || errno == EINPROGRESS) return "no answer in time";
  return std::generic_category().message(errno);
}

Result<Socket> connect_to(std::string_view address, std::chrono::milliseconds patience) {
  std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return unreachable(address, "is no HOST:PORT");
  std::string host(address.substr(0, colon));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::string port(address.substr(colon + 1));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list); code != 0) {
    return unreachable(address, ::gai_strerror(code));
  }
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> found(list, ::freeaddrinfo);
  std::string why = "no address";
  for (const addrinfo* one = found.get(); one != nullptr; one = one->ai_next) {
    Socket socket(::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol));
    timeval limit{};
    limit.tv_sec = patience.count() / 1'000;
    limit.tv_usec = patience.count() % 1'000 * 1'000;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (::connect(socket.get(), one->ai_addr, one->ai_addrlen) == 0) return socket;
    why = errno_text();
  }
  return unreachable(address, why);
}

/// Head and body of the answer to a GET.
Result<std::string> get(const AdminPort& port, std::string_view path) {
  const std::string& address = port.address;
  auto socket = connect_to(address, port.patience);
  if (!socket) return std::unexpected(socket.error());
  std::string request =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}{}{}\r\n", path, address,
                  port.token.empty() ? "" : "Authorization: Bearer ", port.token,
                  port.token.empty() ? "" : "\r\n");
  if (::send(socket->get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return unreachable(address, errno_text());
  }
  std::string answer;
  std::array<char, 16 << 10> part;
  while (answer.size() < answer_bytes_max) {
    ssize_t got = ::recv(socket->get(), part.data(), part.size(), 0);
    if (got < 0) return unreachable(address, errno_text());
    if (got == 0) break;
    answer.append(part.data(), static_cast<std::size_t>(got));
  }
  if (!answer.contains("\r\n\r\n")) return unreachable(address, "the answer is cut off");
  return answer;
}

bool has_status(std::string_view answer, std::string_view status) {
  constexpr std::string_view version = "HTTP/1.1 ";
  return answer.starts_with(version) && answer.substr(version.size()).starts_with(status);
}

std::string body_of(std::string_view answer) {
  constexpr std::string_view end = "\r\n\r\n";
  return std::string(answer.substr(answer.find(end) + end.size()));
}

Result<std::string> refuse(std::string_view address, std::string_view path,
                           std::string_view answer) {
  if (has_status(answer, "401 ")) {
    return fail(ErrorCode::unauthenticated,
                fmt::format("{} wants its token: set admin.token_file, or give --admin-token-file "
                            "with the file of its token",
                            address));
  }
  return fail(ErrorCode::internal,
              fmt::format("{}{} answers {}", address, path, answer.substr(0, answer.find("\r\n"))));
}

}  // namespace

Result<std::string> published_admin_address(const std::filesystem::path& data_dir) {
  std::filesystem::path file = data_dir / "run" / "ports.json";
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  boost::system::error_code wrong;
  auto value = boost::json::parse(text.str(), wrong);
  const auto* admin =
      !wrong && value.is_object() ? value.as_object().if_contains("admin") : nullptr;
  if (admin == nullptr || !admin->is_string() || admin->as_string().empty()) {
    return fail(ErrorCode::not_found,
                fmt::format("no server with an admin port runs on {}", data_dir.string()));
  }
  return std::string(admin->as_string());
}

std::string wrong_admin_address(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return fmt::format("{} is not HOST:PORT", address);
  }
  const std::string_view port = std::string_view(address).substr(colon + 1);
  unsigned number = 0;
  const auto read = std::from_chars(port.data(), port.data() + port.size(), number);
  const bool whole = read.ec == std::errc{} && read.ptr == port.data() + port.size();
  if (whole && number >= 1 && number <= 65'535) return {};
  return fmt::format("{} is no port: 1 to 65535", port);
}

Result<std::string> ask_admin(const AdminPort& port, std::string_view path) {
  auto answer = get(port, path);
  if (!answer) return answer;
  if (!has_status(*answer, "200 ")) return refuse(port.address, path, *answer);
  return body_of(*answer);
}

Result<std::string> ask_readiness(const AdminPort& port) {
  constexpr std::string_view path = "/readyz";
  auto answer = get(port, path);
  if (!answer) return answer;
  const bool known = has_status(*answer, "200 ") || has_status(*answer, "503 ");
  return known ? body_of(*answer) : refuse(port.address, path, *answer);
}

}  // namespace trialwire
