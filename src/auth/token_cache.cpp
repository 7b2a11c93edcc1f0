// SPDX-License-Identifier: Apache-2.0
#include "auth/token_cache.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace trialwire::auth {
namespace {

/// What a token and its principal commonly take: decides how many places there are.
constexpr std::size_t entry_bytes_usual = 1 << 10;

std::size_t bytes_of(const std::vector<std::string>& texts) noexcept {
  std::size_t bytes = texts.capacity() * sizeof(std::string);
  for (const std::string& text : texts) bytes += text.capacity();
  return bytes;
}

}  // namespace

struct TokenCache::Entry {
  std::string token;
  Verified verified;
  bool used = false;  // since the hand passed

  std::size_t bytes() const noexcept {
    const Principal& who = verified.principal;
    return sizeof(Entry) + token.capacity() + who.name.capacity() +
           (who.subject ? who.subject->capacity() : 0) + bytes_of(who.roles) +
           bytes_of(who.studies.names) + bytes_of(who.sites.names);
  }
};

TokenCache::TokenCache(std::size_t bytes_max, SipKey key) : bytes_max_(bytes_max), key_(key) {
  if (bytes_max_ == 0) return;
  std::size_t buckets = std::bit_ceil(std::max<std::size_t>(bytes_max_ / entry_bytes_usual / 2, 1));
  mask_ = buckets - 1;
  places_.resize(buckets * ways);
}

TokenCache::~TokenCache() = default;

TokenCache::Place* TokenCache::place_of(std::string_view token, std::uint64_t hash) noexcept {
  Place* first = bucket(hash);
  for (Place* place = first; place != first + ways; ++place) {
    if (place->hash == hash && place->entry && place->entry->token == token) return place;
  }
  return nullptr;
}

const Verified* TokenCache::find(std::string_view token) noexcept {
  if (last_ == nullptr || last_->token != token) {
    if (places_.empty()) return nullptr;
    Place* place = place_of(token, content_hash(key_, as_bytes(token)));
    if (place == nullptr) return nullptr;
    last_ = place->entry.get();
  }
  last_->used = true;
  return &last_->verified;
}

const Verified* TokenCache::insert(std::string_view token, Verified verified) {
  if (places_.empty()) return nullptr;
  auto entry = std::make_unique<Entry>(std::string(token), std::move(verified));
  std::size_t bytes = entry->bytes();
  if (bytes > bytes_max_) return nullptr;
  make_room(bytes);
  std::uint64_t hash = content_hash(key_, as_bytes(token));
  Place* first = bucket(hash);
  Place* place = std::find_if(first, first + ways, [](const Place& one) { return !one.entry; });
  if (place == first + ways) {
    place = std::find_if(first, first + ways, [](const Place& one) { return !one.entry->used; });
  }
  if (place == first + ways) place = first + (hash >> 62U);
  drop(*place);
  place->hash = hash;
  place->entry = std::move(entry);
  bytes_ += bytes;
  ++tokens_;
  return &place->entry->verified;
}

void TokenCache::erase(std::string_view token) noexcept {
  if (places_.empty()) return;
  if (Place* place = place_of(token, content_hash(key_, as_bytes(token)))) drop(*place);
}

void TokenCache::clear() noexcept {
  for (Place& place : places_) drop(place);
}

void TokenCache::drop(Place& place) noexcept {
  if (!place.entry) return;
  bytes_ -= place.entry->bytes();
  --tokens_;
  if (last_ == place.entry.get()) last_ = nullptr;
  place.entry.reset();
}

void TokenCache::make_room(std::size_t bytes) noexcept {
  while (bytes_ + bytes > bytes_max_) {
    Place& place = places_[hand_];
    hand_ = hand_ + 1 == places_.size() ? 0 : hand_ + 1;
    if (place.entry && !std::exchange(place.entry->used, false)) drop(place);
  }
}

}  // namespace trialwire::auth
