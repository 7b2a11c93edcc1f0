// SPDX-License-Identifier: Apache-2.0
#include "net/rate_table.hpp"

#include <algorithm>
#include <bit>
#include <mutex>

#include <fmt/format.h>

namespace trialwire::net {
namespace {

constexpr std::size_t stripe_count = 16;  // a power of two: shards seldom want the same one

}  // namespace

std::uint32_t seconds_up(std::int64_t ns) noexcept {
  constexpr std::int64_t second = 1'000'000'000;
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(ns / second + (ns % second > 0 ? 1 : 0), 1, UINT32_MAX));
}

RateTable::RateTable(const RateTableOptions& options)
    : rate_(static_cast<double>(options.per_second), options.burst),
      lines_(fmt::format(R"("{}";q={};w={})", options.name, rate_.burst(),
                         seconds_up(rate_.fill_ns()))) {
  const std::size_t keys = std::max<std::size_t>(options.keys_max, 1);
  const std::size_t stripes = std::min(stripe_count, std::bit_floor(keys));
  for (std::size_t i = 0; i < stripes; ++i) {
    stripes_.push_back(std::make_unique<Stripe>(rate_, keys / stripes));
  }
}

RateTable::Taken RateTable::take(const Hash128& key, std::int64_t now_ns) noexcept {
  // The table within looks at the low half.
  Stripe& stripe = *stripes_[key.high & (stripes_.size() - 1)];
  std::lock_guard lock(stripe.lock);
  const resilience::BucketTable::Taken taken = stripe.table.take(key, now_ns);
  if (taken.shared) ++stripe.shared;
  return {.admitted = taken.admitted, .bucket = taken.bucket};
}

RateNote RateTable::note(const Taken& taken, std::int64_t now_ns) const noexcept {
  const resilience::TokenBucket& bucket = taken.bucket;
  RateNote note{.present = true};
  note.remaining =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(bucket.tokens(rate_, now_ns), UINT32_MAX));
  note.until_s =
      note.remaining == 0 ? retry_after_s(taken, now_ns) : seconds_up(bucket.until_full_ns(now_ns));
  return note;
}

std::uint32_t RateTable::retry_after_s(const Taken& taken, std::int64_t now_ns) const noexcept {
  return seconds_up(taken.bucket.until_token_ns(rate_, now_ns));
}

template <typename Of>
std::uint64_t RateTable::sum(Of of) const {
  std::uint64_t all = 0;
  for (const auto& stripe : stripes_) {
    std::lock_guard lock(stripe->lock);
    all += of(*stripe);
  }
  return all;
}

std::size_t RateTable::keys() const {
  return sum([](const Stripe& stripe) { return stripe.table.size(); });
}
std::size_t RateTable::keys_max() const {
  return sum([](const Stripe& stripe) { return stripe.table.buckets_max(); });
}
std::uint64_t RateTable::shared() const {
  return sum([](const Stripe& stripe) { return stripe.shared; });
}

}  // namespace trialwire::net
