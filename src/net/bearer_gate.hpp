// SPDX-License-Identifier: Apache-2.0
// Lets a request through whose bearer token (RFC 6750) is for the route's scope. Otherwise
//
//   401  WWW-Authenticate: Bearer realm="trialwire"[, error="invalid_token", error_description="…"]
//   403  WWW-Authenticate: Bearer …, error="insufficient_scope", scope="reports:write"
//   403  likewise, with what role the route wants, when the token has the scope and not the role
//
// with the reason in the body, and nothing of the token anywhere. What a token lets see and write
// is not looked at here: its principal goes with the request.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "auth/authenticator.hpp"
#include "net/gate.hpp"

namespace trialwire::net {

class BearerGate final : public Gate {
 public:
  /// One authenticator for each shard, by its index.
  BearerGate(const auth::Authenticator::Options& options, auth::KeyRing& keys, std::size_t shards,
             telemetry::Registry& metrics);

  const auth::Principal* admit(const Request& request, const Route& route, runtime::Shard& shard,
                               ResponseWriter& writer) override;
  /// Before the server starts; it outlives this. Null: nobody.
  void tell(RefusalListener* listener) noexcept { listener_ = listener; }

 private:
  RefusalListener* listener_ = nullptr;
  std::vector<std::unique_ptr<auth::Authenticator>> authenticators_;
};

}  // namespace trialwire::net
