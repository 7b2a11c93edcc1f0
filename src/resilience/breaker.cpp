// SPDX-License-Identifier: Apache-2.0
#include "resilience/breaker.hpp"

#include <algorithm>

namespace trialwire::resilience {
namespace {

std::int64_t bucket_ns(const BreakerOptions& options, std::size_t buckets) noexcept {
  return std::max<std::int64_t>(options.window.count() / static_cast<std::int64_t>(buckets), 1);
}

}  // namespace

Breaker::Breaker(const BreakerOptions& options) noexcept
    : options_(options), window_(bucket_ns(options, bucket_count)) {}

void Breaker::advance(std::int64_t now_ns) noexcept {
  window_.advance(now_ns, [this](const Bucket& old) {
    total_ -= old.total;
    accepts_ -= old.accepts;
    failures_ -= old.failures;
  });
}

void Breaker::count(std::int64_t now_ns, bool accepted, bool failure) noexcept {
  advance(now_ns);
  Bucket& bucket = window_.newest();
  ++bucket.total;
  ++total_;
  if (accepted) {
    ++bucket.accepts;
    ++accepts_;
  }
  if (failure) {
    ++bucket.failures;
    ++failures_;
  }
}

std::size_t Breaker::failing_buckets() const noexcept {
  std::size_t failing = 0;
  for (std::size_t age = 0; age < bucket_count; ++age) {
    const Bucket& bucket = window_.back(age);
    if (bucket.accepts > 0) break;
    if (bucket.failures > 0) ++failing;
  }
  return failing;
}

std::size_t Breaker::working_buckets() const noexcept {
  std::size_t working = 0;
  for (std::size_t age = 0; age < bucket_count; ++age) {
    const Bucket& bucket = window_.back(age);
    if (bucket.failures > 0) break;
    if (bucket.accepts > 0) ++working;
  }
  return working;
}

/// Over 0: calls are to be refused.
double Breaker::drop() const noexcept {
  const auto total = static_cast<double>(total_);
  const auto accepts = static_cast<double>(accepts_);
  const double over = total - static_cast<double>(options_.protection);
  // The weight is never under the floor: most often nothing needs to be looked at.
  if (over <= options_.floor * accepts) [[likely]]
    return 0;
  const double share = static_cast<double>(failing_buckets()) / static_cast<double>(bucket_count);
  const double weight = options_.k - (options_.k - options_.floor) * share;
  return (over - std::max(weight, options_.floor) * accepts) / (total + 1);
}

/// `drop`, and what follows for the adaptive form's `open_`.
double Breaker::look() noexcept {
  const double over = drop();
  if (over > 0) {
    open_ = true;
  } else if (answers_) {
    open_ = false;
  }
  return over;
}

bool Breaker::probe_is_due(std::int64_t now_ns) const noexcept {
  return now_ns - made_ns_ > options_.probe_interval.count();
}

Breaker::Call Breaker::admit(std::int64_t now_ns, double chance) noexcept {
  advance(now_ns);
  const Call call = options_.kind == BreakerKind::adaptive ? admit_adaptive(now_ns, chance)
                                                           : admit_by_ratio(now_ns);
  if (call == Call::refused) {
    if (options_.kind == BreakerKind::adaptive) count(now_ns, false, false);
    return call;
  }
  if (call == Call::probe) probing_ = true;
  made_ns_ = now_ns;
  return call;
}

Breaker::Call Breaker::make(std::int64_t now_ns) noexcept {
  made_ns_ = now_ns;
  return Call::made;
}

Breaker::Call Breaker::admit_adaptive(std::int64_t now_ns, double chance) noexcept {
  const double over = look();
  if (over <= 0) return Call::made;
  if (probe_is_due(now_ns)) return Call::probe;
  const double share =
      static_cast<double>(bucket_count - working_buckets()) / static_cast<double>(bucket_count);
  return chance < over * share ? Call::refused : Call::made;
}

Breaker::Call Breaker::admit_by_ratio(std::int64_t now_ns) noexcept {
  if (!open_) return Call::made;
  const std::int64_t wait = options_.open_for.count();
  // A probe that never comes back is not waited for longer than an opening.
  const std::int64_t since = probing_ ? made_ns_ : opened_ns_;
  return now_ns - since >= wait ? Call::probe : Call::refused;
}

void Breaker::judge_by_ratio(Call call, std::int64_t now_ns, bool success) noexcept {
  if (open_) {
    // What was made before it opened decides nothing any more.
    if (call != Call::probe) return;
    open_ = !success;
    opened_ns_ = now_ns;
    if (!success) return;
    window_.clear();
    total_ = accepts_ = failures_ = 0;
    return;
  }
  if (success || total_ < options_.calls_min) return;
  if (static_cast<double>(accepts_) >= options_.success_ratio * static_cast<double>(total_)) return;
  open_ = true;
  opened_ns_ = now_ns;
}

void Breaker::succeeded(Call call, std::int64_t now_ns) noexcept {
  if (call == Call::probe) probing_ = false;
  count(now_ns, true, false);
  if (options_.kind == BreakerKind::ratio) return judge_by_ratio(call, now_ns, true);
  answers_ = true;
  look();
}

void Breaker::failed(Call call, std::int64_t now_ns) noexcept {
  if (call == Call::probe) probing_ = false;
  count(now_ns, false, true);
  if (options_.kind == BreakerKind::ratio) return judge_by_ratio(call, now_ns, false);
  answers_ = false;
  look();
}

void Breaker::succeeded_calmly(std::uint32_t calls, std::int64_t now_ns) noexcept {
  if (calls == 0) return;
  made_ns_ = now_ns;
  advance(now_ns);
  Bucket& bucket = window_.newest();
  bucket.total += calls;
  bucket.accepts += calls;
  total_ += calls;
  accepts_ += calls;
}

void Breaker::withdrawn(Call call) noexcept {
  if (call == Call::probe) probing_ = false;
}

BreakerState Breaker::state(std::int64_t now_ns) noexcept {
  advance(now_ns);
  if (options_.kind == BreakerKind::ratio) {
    if (!open_) return BreakerState::closed;
    const bool half = probing_ || now_ns - opened_ns_ >= options_.open_for.count();
    return half ? BreakerState::half_open : BreakerState::open;
  }
  const double over = look();
  if (!open_) return BreakerState::closed;
  return over <= 0 || probing_ || probe_is_due(now_ns) ? BreakerState::half_open
                                                       : BreakerState::open;
}

bool Breaker::calm(std::int64_t now_ns) noexcept {
  return state(now_ns) == BreakerState::closed && failures_ == 0;
}

}  // namespace trialwire::resilience
