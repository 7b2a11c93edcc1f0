// SPDX-License-Identifier: Apache-2.0
// Rates by key, shared by all shards: sixteen bucket tables (resilience/bucket_table.hpp), each
// behind a lock that is held for some ten nanoseconds. Any thread; nothing allocates after the
// start. What bounds it is `keys_max`, and a metric.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/brief_lock.hpp"
#include "base/hash.hpp"
#include "net/rate_note.hpp"
#include "resilience/bucket_table.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::net {

struct RateTableOptions {
  std::string_view name = "address";  // in RateLimit-Policy; what a key is
  std::uint64_t per_second = 1;       // at least 1
  std::uint64_t burst = 120;
  std::size_t keys_max = 65'536;
};

class RateTable {
 public:
  explicit RateTable(const RateTableOptions& options);

  struct Taken {
    bool admitted = false;
    resilience::TokenBucket bucket;  // as it is now: a copy
  };
  /// One request of that key, which nobody can aim: a hash with a secret of this process.
  Taken take(const Hash128& key, std::int64_t now_ns) noexcept;

  /// What an answer says of it.
  RateNote note(const Taken& taken, std::int64_t now_ns) const noexcept;
  /// Seconds until there is a token, at least 1.
  std::uint32_t retry_after_s(const Taken& taken, std::int64_t now_ns) const noexcept;
  /// RateLimit-Policy, `"address";q=120;w=2`, and RateLimit.
  const RateLines& lines() const noexcept { return lines_; }

  std::size_t keys() const;
  std::size_t keys_max() const;
  /// Requests that shared one rate, for all places were taken.
  std::uint64_t shared() const;

 private:
  struct alignas(64) Stripe {
    Stripe(resilience::TokenRate rate, std::size_t keys) : table(rate, keys) {}
    mutable BriefLock lock;
    resilience::BucketTable table;
    std::uint64_t shared = 0;
  };
  template <typename Of>
  std::uint64_t sum(Of of) const;

  resilience::TokenRate rate_;
  RateLines lines_;
  std::vector<std::unique_ptr<Stripe>> stripes_;
};

/// Nanoseconds as whole seconds, rounded up, at least 1: for Retry-After.
std::uint32_t seconds_up(std::int64_t ns) noexcept;

}  // namespace trialwire::net
