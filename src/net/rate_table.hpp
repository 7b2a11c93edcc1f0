// SPDX-License-Identifier: Apache-2.0
// Rates by key, shared by all shards: sixteen bucket tables (resilience/bucket_table.hpp), each
// behind a lock that is held for some ten nanoseconds. Any thread; nothing allocates after the
// start. What bounds it is `keys_max`, and a metric.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

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
    std::uint32_t retry_after_s = 1;  // when it is not
    RateNote note;
  };
  /// One request of that key, which nobody can aim: a hash with a secret of this process.
  Taken take(const Hash128& key, std::int64_t now_ns) noexcept;

  /// Value of RateLimit-Policy: `"address";q=120;w=2`.
  std::string_view policy() const noexcept { return policy_; }

  std::size_t keys() const;
  std::size_t keys_max() const;
  /// Requests that shared one rate, for all places were taken.
  std::uint64_t shared() const;

 private:
  struct alignas(64) Stripe {
    Stripe(resilience::TokenRate rate, std::size_t keys) : table(rate, keys) {}
    mutable std::mutex mutex;
    resilience::BucketTable table;
    std::uint64_t shared = 0;
  };
  template <typename Of>
  std::uint64_t sum(Of of) const;

  resilience::TokenRate rate_;
  std::string policy_;
  std::vector<std::unique_ptr<Stripe>> stripes_;
};

/// Nanoseconds as whole seconds, rounded up, at least 1: for Retry-After.
std::uint32_t seconds_up(std::int64_t ns) noexcept;

}  // namespace trialwire::net
