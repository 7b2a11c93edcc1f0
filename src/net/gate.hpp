// SPDX-License-Identifier: Apache-2.0
// What stands between a matched route and its handler. Paths that no route has are answered without
// it: they hold nothing.
#pragma once
#include "auth/principal.hpp"
#include "auth/refusal.hpp"
#include "net/http.hpp"
#include "net/response.hpp"
#include "net/router.hpp"

namespace trialwire::runtime {
class Shard;
}

namespace trialwire::net {

/// Told of every request that a gate did not let through, before it is answered.
class RefusalListener {
 public:
  virtual ~RefusalListener() = default;
  /// On the connection's shard. `who`: whom the token is of; null when none was taken.
  virtual void refused(auth::Refusal why, const auth::Principal* who, const Request& request,
                       const Route& route, runtime::Shard& shard) noexcept = 0;
};

class Gate {
 public:
  virtual ~Gate() = default;
  /// On the connection's shard, before the handler is called; and before a body that is not there
  /// yet is waited for (the request is not `whole`), then once more. Null: refused, and the answer
  /// is written. The principal is valid until the next call on that shard.
  virtual const auth::Principal* admit(const Request& request, const Route& route,
                                       runtime::Shard& shard, ResponseWriter& writer) = 0;
};

}  // namespace trialwire::net
