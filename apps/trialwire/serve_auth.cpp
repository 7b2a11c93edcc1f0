// SPDX-License-Identifier: Apache-2.0
#include "serve_auth.hpp"

#include <utility>

#include <fmt/format.h>

#include "auth_options.hpp"

namespace trialwire {

AuthService::AuthService(const config::Settings& settings, std::unique_ptr<auth::KeyRing> keys,
                         std::size_t shards, telemetry::Registry& metrics)
    : refresh_(settings.auth.jwt.refresh),
      keys_(std::move(keys)),
      gate_(authenticator_options(settings.auth.jwt, shards), *keys_, shards, metrics) {
  const config::RateSettings& rate = settings.limits.rate;
  if (rate.subject_per_second == 0) return;
  rates_ =
      std::make_unique<net::RateGate>(gate_,
                                      net::RateTableOptions{.name = "subject",
                                                            .per_second = rate.subject_per_second,
                                                            .burst = rate.subject_burst,
                                                            .keys_max = rate.subjects},
                                      shards, "http", metrics);
}

Result<std::unique_ptr<AuthService>> AuthService::make(const config::Settings& settings,
                                                       std::size_t shards,
                                                       OutboundService& outbound,
                                                       telemetry::Registry& metrics) {
  auto keys = auth::KeyRing::open(key_options(settings.auth.jwt), metrics);
  if (!keys) {
    return fail(keys.error().code, fmt::format("keys of tokens: {}", keys.error().text));
  }
  std::unique_ptr<AuthService> service(
      new AuthService(settings, std::move(*keys), shards, metrics));
  if (settings.auth.jwt.jwks_url.empty()) return service;
  auto jwks = JwksService::make(outbound, *service->keys_, metrics);
  if (!jwks) return std::unexpected(jwks.error());
  service->jwks_ = std::move(*jwks);
  return service;
}

void AuthService::refresh_on(runtime::Shard& control) {
  control.at_tick([this, &control] {
    if (jwks_) jwks_->tick();
    std::int64_t now_ns = control.now_ns();
    if (now_ns - refreshed_ns_ < refresh_.count()) return;
    refreshed_ns_ = now_ns;
    keys_->refresh();
  });
}

}  // namespace trialwire
