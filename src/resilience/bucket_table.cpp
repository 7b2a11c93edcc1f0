// SPDX-License-Identifier: Apache-2.0
#include "resilience/bucket_table.hpp"

#include <algorithm>
#include <bit>

namespace trialwire::resilience {
namespace {

/// All buckets fill at one rate, so the least recently used is nearly always the first that is
/// full; a few more are looked at for those that were used little.
constexpr int looked_at_max = 8;

}  // namespace

BucketTable::BucketTable(TokenRate rate, std::size_t buckets_max)
    : rate_(rate),
      places_(std::clamp<std::size_t>(buckets_max, 1, none)),
      chains_(std::bit_ceil(places_.size()), none) {}

BucketTable::Taken BucketTable::take(const Hash128& key, std::int64_t now_ns) noexcept {
  Index place = find(key);
  if (place == none) place = place_for(key, now_ns);
  if (place == none) {
    const bool admitted = shared_.take(rate_, now_ns);
    return {admitted, true, shared_};
  }
  if (place != newest_) {
    leave_order(place);
    become_newest(place);
  }
  TokenBucket& bucket = places_[place].bucket;
  const bool admitted = bucket.take(rate_, now_ns);
  return {admitted, false, bucket};
}

BucketTable::Index& BucketTable::chain_of(const Hash128& key) noexcept {
  return chains_[key.low & (chains_.size() - 1)];
}

BucketTable::Index BucketTable::find(const Hash128& key) const noexcept {
  Index at = chains_[key.low & (chains_.size() - 1)];
  while (at != none && places_[at].key != key) at = places_[at].next;
  return at;
}

/// A place of its own for a new key; none: all are in use.
BucketTable::Index BucketTable::place_for(const Hash128& key, std::int64_t now_ns) noexcept {
  Index found = none;
  if (used_ < places_.size()) {
    found = static_cast<Index>(used_++);
  } else {
    Index at = oldest_;
    for (int i = 0; i < looked_at_max && at != none; ++i, at = places_[at].newer) {
      if (!places_[at].bucket.full(now_ns)) continue;
      found = at;
      break;
    }
    if (found == none) return none;
    leave_chain(found);
    leave_order(found);
  }
  Place& place = places_[found];
  place.key = key;
  place.bucket = {};
  Index& chain = chain_of(key);
  place.next = chain;
  chain = found;
  become_newest(found);
  return found;
}

void BucketTable::leave_chain(Index place) noexcept {
  Index* at = &chain_of(places_[place].key);
  while (*at != place) at = &places_[*at].next;
  *at = places_[place].next;
}

void BucketTable::leave_order(Index place) noexcept {
  const Place& leaving = places_[place];
  (leaving.older == none ? oldest_ : places_[leaving.older].newer) = leaving.newer;
  (leaving.newer == none ? newest_ : places_[leaving.newer].older) = leaving.older;
}

void BucketTable::become_newest(Index place) noexcept {
  places_[place].older = newest_;
  places_[place].newer = none;
  (newest_ == none ? oldest_ : places_[newest_].newer) = place;
  newest_ = place;
}

}  // namespace trialwire::resilience
