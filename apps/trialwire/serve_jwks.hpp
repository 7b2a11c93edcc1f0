// SPDX-License-Identifier: Apache-2.0
// Keys of tokens from an identity provider's URL: fetched at the start, then every
// auth.jwt.jwks_refresh, and sooner for a token whose key is not known, but never more often than
// every auth.jwt.jwks_refresh_min. No request waits for it: a token of a new key is answered 401
// until the keys are here. What was fetched last stays in force while the provider is away or sends
// what cannot be used; without any, the server starts, and is not ready.
//
// Threads: `tick` and `readiness` on the control thread, answers on the client's.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "admin.hpp"
#include "auth/key_ring.hpp"
#include "config/settings.hpp"
#include "serve_outbound.hpp"

namespace trialwire {

class JwksService {
 public:
  /// `keys` outlives it, and the client's loop stops before it goes.
  static Result<std::unique_ptr<JwksService>> make(OutboundService& outbound, auth::KeyRing& keys,
                                                   telemetry::Registry& metrics);

  /// Waits for the keys, for services.deadline at most; that there are none is no error.
  void fetch_first();
  void tick();
  ReadinessCheck readiness() const;

 private:
  struct State;
  JwksService(const config::Settings& settings, std::string target, outbound::HttpTarget& from,
              auth::KeyRing& keys, telemetry::Registry& metrics);
  outbound::HttpRequest request() const;
  void arrived(Result<outbound::HttpResponse> answer);
  void failed(const std::string& reason);
  void postponed();

  const std::chrono::nanoseconds refresh_;
  const std::chrono::nanoseconds refresh_min_;
  const std::string target_;
  outbound::HttpTarget& from_;
  auth::KeyRing& keys_;
  std::shared_ptr<State> state_;  // with a scrape, which may outlive it
};

/// The JWKS at auth.jwt.jwks_url, once, for commands.
Result<std::string> fetch_jwks(const config::Settings& settings);

}  // namespace trialwire
