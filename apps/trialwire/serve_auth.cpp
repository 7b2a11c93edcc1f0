// SPDX-License-Identifier: Apache-2.0
#include "serve_auth.hpp"

#include <utility>

#include <fmt/format.h>

#include "auth_options.hpp"

namespace trialwire {

AuthService::AuthService(const config::JwtSettings& settings, std::unique_ptr<auth::KeyRing> keys,
                         std::size_t shards, telemetry::Registry& metrics)
    : refresh_(settings.refresh),
      keys_(std::move(keys)),
      gate_(authenticator_options(settings, shards), *keys_, shards, metrics) {}

Result<std::unique_ptr<AuthService>> AuthService::make(const config::JwtSettings& settings,
                                                       std::size_t shards,
                                                       telemetry::Registry& metrics) {
  auto keys = auth::KeyRing::open(key_options(settings), metrics);
  if (!keys) {
    return fail(keys.error().code, fmt::format("keys of tokens: {}", keys.error().text));
  }
  return std::unique_ptr<AuthService>(new AuthService(settings, std::move(*keys), shards, metrics));
}

void AuthService::refresh_on(runtime::Shard& control) {
  control.at_tick([this, &control] {
    std::int64_t now_ns = control.now_ns();
    if (now_ns - refreshed_ns_ < refresh_.count()) return;
    refreshed_ns_ = now_ns;
    keys_->refresh();
  });
}

}  // namespace trialwire
