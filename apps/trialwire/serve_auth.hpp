// SPDX-License-Identifier: Apache-2.0
// Authentication of the server: keys in force, and the gate of its listener for clients.
#pragma once
#include <memory>

#include "auth/key_ring.hpp"
#include "config/settings.hpp"
#include "net/bearer_gate.hpp"
#include "net/rate_gate.hpp"
#include "runtime/shard.hpp"

namespace trialwire {

class AuthService {
 public:
  /// Errors: keys that cannot be used.
  static Result<std::unique_ptr<AuthService>> make(const config::Settings& settings,
                                                   std::size_t shards,
                                                   telemetry::Registry& metrics);

  net::Gate& gate() noexcept { return rates_ ? static_cast<net::Gate&>(*rates_) : gate_; }
  /// Before `control` starts; this outlives its run.
  void refresh_on(runtime::Shard& control);

 private:
  AuthService(const config::Settings& settings, std::unique_ptr<auth::KeyRing> keys,
              std::size_t shards, telemetry::Registry& metrics);

  const config::Duration refresh_;
  std::unique_ptr<auth::KeyRing> keys_;
  net::BearerGate gate_;
  std::unique_ptr<net::RateGate> rates_;  // null: no limit
  std::int64_t refreshed_ns_ = 0;         // control thread only
};

}  // namespace trialwire
