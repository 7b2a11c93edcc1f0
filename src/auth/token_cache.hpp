// SPDX-License-Identifier: Apache-2.0
// Tokens that were verified, so that the same one is not verified with every request. A look-up is
// a keyed hash and a comparison of the whole text: what is not, byte for byte, a token that was
// verified is none; the one asked for last is compared first. Bounded in bytes: under a hand that
// goes round, those that were not asked for since it passed make room. One a thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/verifier.hpp"
#include "base/hash.hpp"

namespace trialwire::auth {

class TokenCache {
 public:
  /// 0 bytes: it holds nothing. The key is random, so that nobody can aim at a place.
  TokenCache(std::size_t bytes_max, SipKey key);
  ~TokenCache();
  TokenCache(const TokenCache&) = delete;
  TokenCache& operator=(const TokenCache&) = delete;

  /// Null when it is not there. Valid until the next call of another member.
  const Verified* find(std::string_view token) noexcept;
  /// Of a token that is not there. Null when it has no room.
  const Verified* insert(std::string_view token, Verified verified);
  void erase(std::string_view token) noexcept;
  void clear() noexcept;

  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t tokens() const noexcept { return tokens_; }

 private:
  struct Entry;
  struct Place {
    std::uint64_t hash = 0;
    std::unique_ptr<Entry> entry;
  };
  /// Of one hash: neighbours, so that a look-up touches one or two cache lines.
  static constexpr std::size_t ways = 4;

  Place* bucket(std::uint64_t hash) noexcept { return &places_[(hash & mask_) * ways]; }
  Place* place_of(std::string_view token, std::uint64_t hash) noexcept;
  void drop(Place& place) noexcept;
  void make_room(std::size_t bytes) noexcept;

  std::size_t bytes_max_;
  Entry* last_ = nullptr;  // found or put in last: most often it is the same one again
  SipKey key_;
  std::size_t mask_ = 0;
  std::vector<Place> places_;
  std::size_t hand_ = 0;
  std::size_t bytes_ = 0;
  std::size_t tokens_ = 0;
};

}  // namespace trialwire::auth
