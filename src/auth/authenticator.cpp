// SPDX-License-Identifier: Apache-2.0
#include "auth/authenticator.hpp"

#include <optional>
#include <string>
#include <utility>

#include "base/check.hpp"

namespace trialwire::auth {
namespace {

telemetry::Counter& accepted(telemetry::Registry& metrics, const char* how) {
  return metrics.counter("trialwire_auth_accepted_total",
                         "Requests whose token was taken: known from before, or verified.",
                         {{"how", how}});
}

/// What follows the scheme "Bearer" (RFC 6750, 2.1), whose case does not count (RFC 9110, 11.1).
std::optional<std::string_view> token_of(std::string_view value) noexcept {
  constexpr std::string_view scheme = "bearer ";
  if (value.size() < scheme.size()) return std::nullopt;
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    char c = value[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    if (c != scheme[i]) return std::nullopt;
  }
  value.remove_prefix(scheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

}  // namespace

Authenticator::Authenticator(const Options& options, KeyRing& keys, telemetry::Registry& metrics)
    : options_(options),
      keys_(keys),
      cache_(options.cache_bytes_max, random_sip_key()),
      from_cache_(accepted(metrics, "cached")),
      verified_(accepted(metrics, "verified")),
      cache_bytes_(metrics.gauge("trialwire_auth_cache_bytes", "Memory of verified tokens.")),
      cache_tokens_(metrics.gauge("trialwire_auth_cache_tokens", "Verified tokens kept.")) {
  for (std::size_t i = 0; i < refusals_.size(); ++i) {
    refusals_[i] = &metrics.counter("trialwire_auth_refused_total",
                                    "Requests refused for their token, by reason.",
                                    {{"reason", std::string(label_of(static_cast<Refusal>(i)))}});
  }
}

Authenticator::~Authenticator() = default;

std::expected<const Principal*, Refusal> Authenticator::authenticate(std::string_view authorization,
                                                                     std::int64_t unix_now_ns) {
  if (version_ != keys_.version()) [[unlikely]] {
    const std::uint64_t version = keys_.version();  // first: newer keys are noticed again
    auto verifier = std::make_unique<Verifier>(options_.tokens, keys_.keys());
    cache_.clear();
    verifier_ = std::move(verifier);
    version_ = version;  // last: what threw before is tried again
  }
  constexpr std::int64_t second_ns = 1'000'000'000;
  auto who = check(authorization, unix_now_ns / second_ns);
  if (!who) refused(who.error());
  return who;
}

std::expected<const Principal*, Refusal> Authenticator::check(std::string_view authorization,
                                                              std::int64_t now_s) {
  auto token = token_of(authorization);
  if (!token) return std::unexpected(Refusal::missing);
  const Verified* known = cache_.find(*token);
  if (known == nullptr) return verify(*token, now_s);
  if (now_s >= known->until_s) {
    cache_.erase(*token);
    publish();
    return std::unexpected(Refusal::expired);
  }
  // The clock was set back.
  if (now_s < known->from_s) return std::unexpected(Refusal::not_yet_valid);
  from_cache_.add();
  return &known->principal;
}

std::expected<const Principal*, Refusal> Authenticator::verify(std::string_view token,
                                                               std::int64_t now_s) {
  auto verified = verifier_->verify(token, now_s);
  if (!verified) {
    const bool of_key =
        verified.error() == Refusal::unknown_key || verified.error() == Refusal::signature;
    if (of_key && !verifier_->knew_key()) keys_.miss();
    return std::unexpected(verified.error());
  }
  verified_.add();
  // The same text from elsewhere would be copied; this one has to live, cached or not.
  uncached_ = std::move(*verified);
  const Verified* kept = cache_.insert(token, uncached_);
  publish();
  return kept != nullptr ? &kept->principal : &uncached_.principal;
}

void Authenticator::publish() noexcept {
  cache_bytes_.set(static_cast<double>(cache_.bytes()));
  cache_tokens_.set(static_cast<double>(cache_.tokens()));
}

}  // namespace trialwire::auth
