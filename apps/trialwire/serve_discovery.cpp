// SPDX-License-Identifier: Apache-2.0
#include "serve_discovery.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "outbound/endpoints.hpp"

namespace trialwire {

std::vector<std::string> discovery_names(const config::DiscoveryKeySettings& keys) {
  std::vector<std::string> names;
  for (const std::string* key :
       {&keys.collection, &keys.trial, &keys.user, &keys.edc, &keys.epro}) {
    if (!key->empty() && std::ranges::find(names, *key) == names.end()) names.push_back(*key);
  }
  return names;
}

std::string advertised_address(const std::string& advertise, const std::string& listens) {
  if (advertise.empty()) return listens;
  if (!advertise.ends_with(":0")) return advertise;
  return advertise.substr(0, advertise.size() - 1) + listens.substr(listens.rfind(':') + 1);
}

Result<EtcdTarget> etcd_target(const config::Settings& settings) {
  const config::DiscoverySettings& from = settings.discovery;
  EtcdTarget made{
      .options = http_target_options(settings.services, "etcd"), .endpoints = {}, .etcd = {}};
  constexpr std::string_view plain = "http://", secured = "https://";
  std::vector<std::string> members;
  for (const std::string& member : from.etcd) {
    std::string_view text = member;
    made.options.tls = text.starts_with(secured);
    if (made.options.tls) text.remove_prefix(secured.size());
    if (text.starts_with(plain)) text.remove_prefix(plain.size());
    if (text.ends_with('/')) text.remove_suffix(1);
    members.emplace_back(text);
  }
  auto endpoints = outbound::parse_direct(fmt::format("{}", fmt::join(members, ",")));
  if (!endpoints) {
    return fail(endpoints.error().code, fmt::format("discovery.etcd {}", endpoints.error().text));
  }
  made.endpoints = std::make_shared<outbound::FixedEndpoints>(std::move(*endpoints));
  if (!from.ca.empty()) made.options.files.ca = from.ca;
  made.options.files.cert = from.cert;
  made.options.files.key = from.key;
  made.etcd.username = from.username;
  made.etcd.password_file = from.password_file;
  made.etcd.deadline = std::min(made.options.deadline, made.etcd.deadline);
  return made;
}

Result<std::unique_ptr<DiscoveryService>> DiscoveryService::make(OutboundService& outbound,
                                                                 telemetry::Registry& metrics) {
  const config::Settings& settings = outbound.settings();
  if (settings.discovery.etcd.empty()) return nullptr;
  auto made = etcd_target(settings);
  if (!made) return std::unexpected(made.error());
  auto& target = outbound.add(std::move(made->options), std::move(made->endpoints));
  return std::unique_ptr<DiscoveryService>(
      new DiscoveryService(settings, std::move(made->etcd), target, metrics));
}

void DiscoveryService::start(const std::string& listens) {
  const config::DiscoverySettings& from = settings_.discovery;
  discovery::RegistrationOptions options;
  options.names = discovery_names(from.keys);
  options.address = advertised_address(from.advertise, listens);
  options.ttl = std::chrono::floor<std::chrono::seconds>(from.ttl);
  options.etcd = etcd_;
  registration_ = std::make_unique<discovery::Registration>(std::move(options), target_, metrics_);
  registration_->start();
}

void DiscoveryService::stop() {
  if (registration_) registration_->stop();
}

ReadinessCheck DiscoveryService::readiness() const {
  if (!registration_) return {"discovery", false, false, "not registered yet"};
  const discovery::RegistrationState state = registration_->state();
  std::string detail = state.registered ? fmt::format("registered by lease {}", state.lease)
                                        : fmt::format("not registered: {}", state.trouble);
  return {"discovery", state.registered, false, std::move(detail)};
}

}  // namespace trialwire
