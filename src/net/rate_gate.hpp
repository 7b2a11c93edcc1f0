// SPDX-License-Identifier: Apache-2.0
// A rate for each name that tokens are made out to, behind the gate that finds out whose a request
// is: over it a request is answered 429 with Retry-After, RateLimit-Policy and RateLimit. A name
// has one rate over all its tokens, connections and shards. Anonymous requests are not limited
// here; those of an address are before any gate (admission.hpp).
//
// Any thread; nothing allocates for a request that is let through. Bounds: RateTableOptions.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "net/gate.hpp"
#include "net/rate_table.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::net {

class RateGate final : public Gate {
 public:
  /// Of `inner`, which outlives it, and a server of so many shards. `server` is a label of metrics.
  RateGate(Gate& inner, const RateTableOptions& options, std::size_t shards,
           std::string_view server, telemetry::Registry& metrics);

  const auth::Principal* admit(const Request& request, const Route& route, runtime::Shard& shard,
                               ResponseWriter& writer) override;

 private:
  /// Whose the last request of a shard was: pipelined ones are most often the same client's.
  struct alignas(64) OfShard {
    telemetry::Counter* refused = nullptr;
    std::string name;
    Hash128 key{};
  };
  void refuse(const RateTable::Taken& taken, std::int64_t now_ns, ResponseWriter& writer) const;

  Gate& inner_;
  SipKey key_;
  std::shared_ptr<RateTable> names_;  // with scrapes, which may outlive the server
  std::vector<OfShard> shards_;
};

}  // namespace trialwire::net
