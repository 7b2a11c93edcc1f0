// SPDX-License-Identifier: Apache-2.0
// Token buckets by key (an address, a subject), never more than so many: all memory is taken at the
// start. A bucket that is full is as a new one, so the least recently used that is full makes room
// for a new key, and nobody is given anything by that. Where none of the oldest is full, new keys
// share one more bucket: the limit then holds for all of them together, which is strict, and
// counted.
//
// Pure: time is passed in; not for several threads at once. Keys are hashes that no sender can aim
// (SipHash with a secret of the process): what has the same hash has the same bucket.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/hash.hpp"
#include "resilience/token_bucket.hpp"

namespace trialwire::resilience {

class BucketTable {
 public:
  /// `buckets_max` at least 1.
  BucketTable(TokenRate rate, std::size_t buckets_max);

  struct Taken {
    bool admitted = false;
    bool shared = false;  // from the bucket of those that have no place
    TokenBucket bucket;   // as it is now: a copy
  };
  /// One token of that key's bucket. Allocates nothing.
  Taken take(const Hash128& key, std::int64_t now_ns) noexcept;

  const TokenRate& rate() const noexcept { return rate_; }
  std::size_t size() const noexcept { return used_; }
  std::size_t buckets_max() const noexcept { return places_.size(); }

 private:
  using Index = std::uint32_t;
  static constexpr Index none = UINT32_MAX;
  struct Place {
    Hash128 key;
    TokenBucket bucket;
    Index next = none;   // of the same chain
    Index older = none;  // in the order of use
    Index newer = none;
  };

  Index find(const Hash128& key) const noexcept;
  Index place_for(const Hash128& key, std::int64_t now_ns) noexcept;
  Index& chain_of(const Hash128& key) noexcept;
  void leave_chain(Index place) noexcept;
  void leave_order(Index place) noexcept;
  void become_newest(Index place) noexcept;

  TokenRate rate_;
  std::vector<Place> places_;
  std::vector<Index> chains_;  // a power of two
  std::size_t used_ = 0;
  Index oldest_ = none;
  Index newest_ = none;
  TokenBucket shared_;
};

}  // namespace trialwire::resilience
