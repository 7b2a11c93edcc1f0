// SPDX-License-Identifier: Apache-2.0
#include "net/rate_gate.hpp"

#include <string>

#include <fmt/format.h>

#include "base/check.hpp"
#include "runtime/shard.hpp"

namespace trialwire::net {

RateGate::RateGate(Gate& inner, const RateTableOptions& options, std::size_t shards,
                   std::string_view server, telemetry::Registry& metrics)
    : inner_(inner), key_(random_sip_key()), names_(std::make_shared<RateTable>(options)) {
  const telemetry::Labels labels{{"server", std::string(server)}};
  for (std::size_t i = 0; i < shards; ++i) {
    shards_.push_back({.refused = &metrics.counter(
                           "trialwire_admission_refused_total",
                           "Requests refused before they were handled, by why.",
                           {{"server", std::string(server)}, {"reason", "rate_subject"}})});
  }
  metrics
      .gauge("trialwire_admission_subject_rate_per_second_max",
             "Requests a second of one name that tokens are made out to.", labels)
      .set(static_cast<double>(options.per_second));
  metrics.observe("trialwire_admission_subjects", "Names whose rate is known.", labels,
                  [table = names_] { return static_cast<double>(table->keys()); });
  metrics.observe("trialwire_admission_subjects_max", "Limit of names whose rate is known.", labels,
                  [table = names_] { return static_cast<double>(table->keys_max()); });
  metrics.observe_total("trialwire_admission_subjects_unknown_total",
                        "Requests that shared one rate, for all places for names were taken.",
                        labels, [table = names_] { return static_cast<double>(table->shared()); });
}

const auth::Principal* RateGate::admit(const Request& request, const Route& route,
                                       runtime::Shard& shard, ResponseWriter& writer) {
  const auth::Principal* who = inner_.admit(request, route, shard, writer);
  if (who == nullptr || who->name.empty() || !request.whole) return who;
  TW_CHECK(shard.index() < shards_.size());
  OfShard& own = shards_[shard.index()];
  if (own.name != who->name) {
    own.name = who->name;
    own.key = siphash(key_, std::as_bytes(std::span(own.name)));
  }
  const RateTable::Taken taken = names_->take(own.key, shard.now_ns());
  if (taken.admitted) return who;
  own.refused->add();
  refuse(taken, shard.now_ns(), writer);
  return nullptr;
}

void RateGate::refuse(const RateTable::Taken& taken, std::int64_t now_ns,
                      ResponseWriter& writer) const {
  const std::string_view policy = names_->lines().policy();
  const RateNote note = names_->note(taken, now_ns);
  writer.start(429)
      .header("Retry-After", fmt::to_string(names_->retry_after_s(taken, now_ns)))
      .header("RateLimit-Policy", policy)
      .header("RateLimit", fmt::format("{};r={};t={}", policy.substr(0, policy.find(';')),
                                       note.remaining, note.until_s));
  writer.problem_body("too many requests with tokens of this name", {});
}

}  // namespace trialwire::net
