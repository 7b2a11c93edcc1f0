// SPDX-License-Identifier: Apache-2.0
// Servers of a name, as etcd has them: all values below "NAME/", read as a whole at the start, then
// watched from the next revision on, and read as a whole again every `refresh`, when etcd ends the
// watch (compaction), and after any failure.
//
// The last list stays while etcd does not answer, and while it has none: where all have gone from
// etcd, those of before may still be there, and nobody is gained by not asking them. Values that
// are no host and port are left out and counted.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "discovery/etcd_client.hpp"
#include "outbound/endpoints.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::discovery {

struct EtcdEndpointsOptions {
  std::string name;
  std::chrono::milliseconds refresh{60'000};
  std::chrono::milliseconds retry{1'000};
  EtcdOptions etcd;
};

class EtcdEndpoints final : public outbound::EndpointSource {
 public:
  /// Looks at once, on a thread of its own; the first list is not waited for. `target` outlives it.
  EtcdEndpoints(EtcdEndpointsOptions options, outbound::HttpTarget& target,
                telemetry::Registry& metrics);
  ~EtcdEndpoints() override;
  EtcdEndpoints(const EtcdEndpoints&) = delete;
  EtcdEndpoints& operator=(const EtcdEndpoints&) = delete;

  std::shared_ptr<const outbound::EndpointList> endpoints() const override;

 private:
  struct Shared;
  void run(const std::stop_token& stop);
  Result<void> follow(EtcdClient& etcd);
  void apply(std::span<const WatchEvent> events);
  void publish();
  void failed(const Error& error);

  const EtcdEndpointsOptions options_;
  outbound::HttpTarget& target_;
  std::shared_ptr<Shared> shared_;  // with a scrape, which may outlive it
  std::map<std::string, std::string>
      known_;            // by key; of who follows, or of the watch it waits for
  std::string trouble_;  // the thread's own: what was said last
  std::jthread thread_;
};

}  // namespace trialwire::discovery
