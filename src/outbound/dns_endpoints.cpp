// SPDX-License-Identifier: Apache-2.0
#include "outbound/dns_endpoints.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "runtime/signals_blocked.hpp"
#include "telemetry/log.hpp"

namespace trialwire::outbound {

struct DnsEndpoints::State {
  State(Options of, Lookup how) : options(std::move(of)), lookup(std::move(how)) {}

  bool look();
  void run();

  const Options options;
  const Lookup lookup;
  mutable std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::shared_ptr<const EndpointList> list = std::make_shared<const EndpointList>();
  std::string trouble;  // the thread's alone: what was said last
};

/// False: nothing new is known.
bool DnsEndpoints::State::look() {
  auto found = lookup(options.name.host);
  if (found && found->empty()) found = fail(ErrorCode::unavailable, "it has no address");
  if (!found) {
    if (std::exchange(trouble, found.error().text) != found.error().text) {
      telemetry::log(telemetry::LogLevel::warn, "outbound",
                     "a name cannot be looked up: its last addresses are used",
                     {{"name", std::string_view(options.name.host)},
                      {"reason", std::string_view(found.error().text)}});
    }
    return false;
  }
  trouble.clear();
  EndpointList made;
  std::ranges::sort(*found);
  for (const std::string& address : *found) {
    Endpoint endpoint{.authority = options.name.text(),
                      .address = HostPort{.host = address, .port = options.name.port}.text()};
    if (made.empty() || made.back() != endpoint) made.push_back(std::move(endpoint));
  }
  const std::lock_guard lock(mutex);
  if (made != *list) list = std::make_shared<const EndpointList>(std::move(made));
  return true;
}

void DnsEndpoints::State::run() {
  for (;;) {
    const auto pause = look() ? options.refresh : options.retry;
    std::unique_lock lock(mutex);
    if (wake.wait_for(lock, pause, [this] { return stopping; })) return;
  }
}

DnsEndpoints::DnsEndpoints(Options options) : DnsEndpoints(std::move(options), look_up) {}

DnsEndpoints::DnsEndpoints(Options options, Lookup lookup)
    : state_(std::make_shared<State>(std::move(options), std::move(lookup))) {
  const runtime::SignalsBlocked blocked;
  std::thread([state = state_] {
    pthread_setname_np(pthread_self(), "dns");
    state->run();
  }).detach();
}

DnsEndpoints::~DnsEndpoints() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
}

std::shared_ptr<const EndpointList> DnsEndpoints::endpoints() const {
  const std::lock_guard lock(state_->mutex);
  return state_->list;
}

Result<std::vector<std::string>> look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); code != 0) {
    return fail(ErrorCode::unavailable, ::gai_strerror(code));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> found(list, ::freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, text.data(), text.size(), nullptr, 0,
                      NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text.data());
    }
  }
  return addresses;
}

}  // namespace trialwire::outbound
