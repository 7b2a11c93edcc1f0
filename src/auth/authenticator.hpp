// SPDX-License-Identifier: Apache-2.0
// Who a request is from, by the value of its Authorization header. One a shard: its cache, its
// contexts and its counters are nobody else's. Never blocks; allocates nothing for a token that it
// has seen.
//
// A token that was verified is trusted until it expires, which is looked at with every request, or
// until the keys change: then all are verified anew.
#pragma once
#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <string_view>

#include "auth/key_ring.hpp"
#include "auth/options.hpp"
#include "auth/principal.hpp"
#include "auth/refusal.hpp"
#include "auth/token_cache.hpp"
#include "auth/verifier.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::auth {

class Authenticator {
 public:
  struct Options {
    TokenOptions tokens;
    std::size_t cache_bytes_max = 16 << 20;
  };

  /// `keys` outlives it. Its counters are written by the thread that calls `authenticate`.
  Authenticator(const Options& options, KeyRing& keys, telemetry::Registry& metrics);
  ~Authenticator();

  /// `authorization`: the header's value, empty when there is none. The principal is valid until
  /// the next call.
  std::expected<const Principal*, Refusal> authenticate(std::string_view authorization,
                                                        std::int64_t unix_now_ns);
  /// Counts one that somebody else decided upon: an ambiguous header, a scope that is missing.
  void refused(Refusal refusal) noexcept { refusals_[static_cast<std::size_t>(refusal)]->add(); }

 private:
  std::expected<const Principal*, Refusal> check(std::string_view authorization,
                                                 std::int64_t now_s);
  std::expected<const Principal*, Refusal> verify(std::string_view token, std::int64_t now_s);
  void publish() noexcept;

  const Options options_;
  KeyRing& keys_;
  std::uint64_t version_ = 0;  // of the keys that verifier_ has
  std::unique_ptr<Verifier> verifier_;
  TokenCache cache_;
  Verified uncached_;  // one that the cache had no room for
  std::array<telemetry::Counter*, static_cast<std::size_t>(Refusal::count_)> refusals_{};
  telemetry::Counter& from_cache_;
  telemetry::Counter& verified_;
  telemetry::Gauge& cache_bytes_;
  telemetry::Gauge& cache_tokens_;
};

}  // namespace trialwire::auth
