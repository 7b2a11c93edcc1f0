// SPDX-License-Identifier: Apache-2.0
#include "app_version_gate.hpp"

#include <utility>

#include "auth/principal.hpp"
#include "net/response.hpp"
#include "runtime/shard.hpp"

namespace trialwire::extending {

AppVersionGate::AppVersionGate(net::Gate* inner, std::set<std::string, std::less<>> recalled,
                               std::size_t shards, telemetry::Registry& metrics)
    : inner_(inner), recalled_(std::move(recalled)) {
  for (std::size_t i = 0; i < shards; ++i) {
    refused_.push_back(&metrics.counter("trialwire_app_versions_refused_total",
                                        "Requests of recalled versions of the app."));
  }
}

const auth::Principal* AppVersionGate::admit(const net::Request& request, const net::Route& route,
                                             runtime::Shard& shard, net::ResponseWriter& writer) {
  const auth::Principal* who =
      inner_ == nullptr ? &auth::anonymous() : inner_->admit(request, route, shard, writer);
  if (who == nullptr) return nullptr;  // refused, and answered
  if (!recalled_.contains(request.header("X-App-Version"))) return who;
  refused_[shard.index()]->add();
  writer.problem(ErrorCode::forbidden, "this version of the app has been recalled: update it");
  return nullptr;
}

}  // namespace trialwire::extending
