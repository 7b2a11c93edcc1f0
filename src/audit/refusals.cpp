// SPDX-License-Identifier: Apache-2.0
#include "audit/refusals.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/rfc3339.hpp"

namespace trialwire::audit {
namespace {

constexpr std::string_view others = "others";
constexpr std::int64_t retry_ns = 1'000'000'000;

}  // namespace

Refusals::Refusals(Trail& trail, const RefusalOptions& options, telemetry::Registry& metrics)
    : trail_(trail),
      options_(options),
      known_(metrics.gauge("trialwire_audit_refusal_keys",
                           "Addresses, reasons and names whose refusals are counted apart.")),
      beyond_(metrics.counter("trialwire_audit_refusals_beyond_total",
                              "Refusals counted together, for audit.refusals were known.")) {
  metrics
      .gauge("trialwire_audit_refusal_keys_max", "Limit of what is counted apart: audit.refusals.")
      .set(static_cast<double>(options.keys_max));
}

void Refusals::count(const Refused& refused, std::int64_t unix_ns) {
  Key key{refused.address, refused.reason, refused.who};
  auto found = tallies_.find(key);
  if (found == tallies_.end()) {
    const bool beyond = tallies_.size() >= options_.keys_max;
    if (beyond) {
      beyond_.add();
      key = {std::string(others), {}, {}};
    }
    auto [place, made] = tallies_.try_emplace(std::move(key));
    found = place;
    if (made) {
      Entry& entry = found->second.entry;
      entry.what = beyond ? what_login_failure : refused.what;
      entry.outcome = beyond ? "several" : refused.reason;
      entry.who = beyond ? "" : refused.who;
      entry.target = beyond ? "" : refused.target;
      entry.origin = fmt::format("{} {}", options_.server, beyond ? others : refused.address);
      found->second.due_ns = unix_ns;
    }
    known_.set(static_cast<double>(tallies_.size()));
  }
  Tally& tally = found->second;
  if (tally.times++ == 0) tally.first_ns = unix_ns;
  tally.last_ns = unix_ns;
}

Entry Refusals::entry_of(const Tally& tally) {
  Entry entry = tally.entry;
  entry.times = tally.times;
  entry.at_ns = tally.last_ns;
  entry.zone = zone_at(tally.last_ns);
  if (tally.times > 1) {
    entry.detail = fmt::format(R"({{"first":"{}"}})", format_rfc3339_ms(tally.first_ns));
  }
  return entry;
}

void Refusals::tick(std::int64_t unix_ns, bool all) {
  if (waiting_ || tallies_.empty()) return;
  std::erase_if(tallies_, [&](const auto& one) {
    return one.second.times == 0 && one.second.due_ns <= unix_ns;
  });
  known_.set(static_cast<double>(tallies_.size()));
  entries_.clear();
  for (auto& [key, tally] : tallies_) {
    if (tally.times == 0 || (tally.due_ns > unix_ns && !all)) continue;
    entries_.push_back(entry_of(tally));
  }
  if (entries_.empty()) return;
  waiting_ = trail_.admit() && trail_.add(entries_, unix_ns, *this);
  written_ns_ = unix_ns;
  for (auto& [key, tally] : tallies_) {
    if (tally.times == 0 || (tally.due_ns > unix_ns && !all)) continue;
    if (waiting_) tally.in_flight = std::exchange(tally.times, 0);
    tally.due_ns = unix_ns + (waiting_ ? options_.interval_ns : retry_ns);
  }
}

void Refusals::committed(const journal::Receipt& receipt) noexcept {
  waiting_ = false;
  const bool durable = receipt.state == journal::Receipt::State::durable;
  if (!durable) trail_.refused();
  for (auto& [key, tally] : tallies_) {
    const std::uint64_t written = std::exchange(tally.in_flight, 0);
    if (durable || written == 0) continue;
    tally.times += written;
    tally.due_ns = written_ns_ + retry_ns;
  }
}

}  // namespace trialwire::audit
