// SPDX-License-Identifier: Apache-2.0
// Refuses versions of the patients' app that have been recalled, by the header X-App-Version: 403,
// before a handler is called, and before a body is waited for. It stands around another gate, such
// as that of tokens, which is asked first: who is a stranger is told nothing of versions.
#pragma once
#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "net/gate.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::extending {

class AppVersionGate final : public net::Gate {
 public:
  /// `inner` outlives it; null: everybody is let in as anonymous. For a server of so many shards.
  AppVersionGate(net::Gate* inner, std::set<std::string, std::less<>> recalled, std::size_t shards,
                 telemetry::Registry& metrics);

  const auth::Principal* admit(const net::Request& request, const net::Route& route,
                               runtime::Shard& shard, net::ResponseWriter& writer) override;

 private:
  net::Gate* inner_;
  std::set<std::string, std::less<>> recalled_;
  std::vector<telemetry::Counter*> refused_;  // one a shard: a counter has one writing thread
};

}  // namespace trialwire::extending
