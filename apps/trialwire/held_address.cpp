// SPDX-License-Identifier: Apache-2.0
#include "held_address.hpp"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include <boost/asio/ip/tcp.hpp>

#include "config/address.hpp"

namespace trialwire {

HeldAddress::~HeldAddress() {
  release();
}

HeldAddress::HeldAddress(HeldAddress&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)) {}

void HeldAddress::release() noexcept {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

Result<HeldAddress> HeldAddress::hold(const std::string& setting, const std::string& address) {
  if (address.empty()) return HeldAddress(-1);
  std::string what = setting + " " + address;
  auto parsed = config::parse_listen_address(address);
  boost::system::error_code error;
  auto host = boost::asio::ip::make_address(parsed ? parsed->host : "", error);
  if (!parsed || error) return fail(ErrorCode::invalid_argument, what + " is no address");
  boost::asio::ip::tcp::endpoint endpoint(host, parsed->port);
  HeldAddress held(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (held.socket_ < 0) return std::unexpected(errno_error(what, errno));
  // Without it, connections of the server before this one, still in TIME_WAIT, would be in the way.
  int on = 1;
  ::setsockopt(held.socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (host.is_v6()) ::setsockopt(held.socket_, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(held.socket_, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) {
    if (errno == EADDRINUSE) {
      return fail(ErrorCode::unavailable, what + " is taken by another process");
    }
    return std::unexpected(errno_error(what, errno));
  }
  return held;
}

}  // namespace trialwire
