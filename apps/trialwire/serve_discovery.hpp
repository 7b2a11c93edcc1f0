// SPDX-License-Identifier: Apache-2.0
// Where others find this process: its registration in etcd, while it serves.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "admin.hpp"
#include "config/settings.hpp"
#include "discovery/registration.hpp"
#include "serve_outbound.hpp"

namespace trialwire {

/// The target that etcd's members are. Errors: what the settings say is no address.
struct EtcdTarget {
  outbound::HttpTargetOptions options;
  std::shared_ptr<const outbound::EndpointSource> endpoints;
  discovery::EtcdOptions etcd;
};
Result<EtcdTarget> etcd_target(const config::Settings& settings);

/// etcd, asked by a command alone.
struct EtcdConnection {
  explicit EtcdConnection(EtcdTarget made)
      : guard("etcd", {}, metrics),
        etcd(std::move(made.etcd)),
        target(std::move(made.options), std::move(made.endpoints), loop, guard, metrics) {}

  telemetry::Registry metrics;
  outbound::HttpLoop loop;
  runtime::Guard guard;
  discovery::EtcdOptions etcd;
  outbound::HttpTarget target;
};

class DiscoveryService {
 public:
  /// Null when discovery.etcd is empty.
  static Result<std::unique_ptr<DiscoveryService>> make(OutboundService& outbound,
                                                        telemetry::Registry& metrics);

  /// `listens`: where clients are served, with its port. Does not wait for etcd.
  void start(const std::string& listens);
  /// Nobody is sent here any more; then what was accepted may be finished. Takes a second at most.
  void stop();
  ReadinessCheck readiness() const;

 private:
  DiscoveryService(const config::Settings& settings, discovery::EtcdOptions etcd,
                   outbound::HttpTarget& target, telemetry::Registry& metrics)
      : settings_(settings), etcd_(std::move(etcd)), target_(target), metrics_(metrics) {}

  const config::Settings& settings_;
  const discovery::EtcdOptions etcd_;
  outbound::HttpTarget& target_;
  telemetry::Registry& metrics_;
  std::unique_ptr<discovery::Registration> registration_;  // null: before the start
};

/// What this process is registered as.
std::vector<std::string> discovery_names(const config::DiscoveryKeySettings& keys);

/// discovery.advertise, its port that of `listens` where it is 0; without it `listens`.
std::string advertised_address(const std::string& advertise, const std::string& listens);

}  // namespace trialwire
