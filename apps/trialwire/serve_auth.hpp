// SPDX-License-Identifier: Apache-2.0
// Authentication of the server: keys in force, and the gate of its listener for clients.
#pragma once
#include <memory>
#include <optional>

#include "auth/key_ring.hpp"
#include "config/settings.hpp"
#include "net/bearer_gate.hpp"
#include "net/rate_gate.hpp"
#include "runtime/shard.hpp"
#include "serve_jwks.hpp"
#include "serve_outbound.hpp"

namespace trialwire {

class AuthService {
 public:
  /// Errors: keys that cannot be used.
  static Result<std::unique_ptr<AuthService>> make(const config::Settings& settings,
                                                   std::size_t shards, OutboundService& outbound,
                                                   telemetry::Registry& metrics);

  net::Gate& gate() noexcept { return rates_ ? static_cast<net::Gate&>(*rates_) : gate_; }
  /// Before the server starts, as BearerGate::tell.
  void tell(net::RefusalListener* listener) noexcept { gate_.tell(listener); }
  /// Before `control` starts; this outlives its run.
  void refresh_on(runtime::Shard& control);
  /// Before clients are served: fetches keys, if they are to be fetched.
  void start() {
    if (jwks_) jwks_->fetch_first();
  }
  /// A line for keys that are fetched; none, if there are no such.
  std::optional<ReadinessCheck> readiness() const {
    return jwks_ ? std::optional(jwks_->readiness()) : std::nullopt;
  }

 private:
  AuthService(const config::Settings& settings, std::unique_ptr<auth::KeyRing> keys,
              std::size_t shards, telemetry::Registry& metrics);

  const config::Duration refresh_;
  std::unique_ptr<auth::KeyRing> keys_;
  std::unique_ptr<JwksService> jwks_;  // null: keys are in files alone
  net::BearerGate gate_;
  std::unique_ptr<net::RateGate> rates_;  // null: no limit
  std::int64_t refreshed_ns_ = 0;         // control thread only
};

}  // namespace trialwire
