// SPDX-License-Identifier: Apache-2.0
// Which requests of one listener are traced, and the spans of those. A caller's decision is
// followed (W3C Trace Context); who brings none is sampled by chance. Of both, so many a second of
// a shard: beyond it nothing is traced, and counted. Shard's thread only. A request that is not
// traced costs two branches.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "net/http.hpp"
#include "net/router.hpp"
#include "resilience/token_bucket.hpp"
#include "telemetry/metrics.hpp"
#include "telemetry/trace/tracer.hpp"

namespace trialwire::net {

struct TraceOptions {
  telemetry::Tracer* tracer = nullptr;  // outlives the server; null: nothing is traced
  double ratio = 0;                     // of requests without a caller's decision: 0 to 1
  bool callers = true;                  // a caller's decision is followed
  std::uint32_t per_second = 100;       // traces, a shard
};

class RequestTraces {
 public:
  RequestTraces(const TraceOptions& options, const std::string& server,
                telemetry::Registry& metrics);

  /// False: it is not traced, and nothing else needs to be known of it.
  bool comes_up(const Request& request) const noexcept {
    return threshold_ != 0 ||
           (request.known != nullptr &&
            (*request.known)[static_cast<std::size_t>(KnownHeader::traceparent)] != 0);
  }
  /// Of one that comes up; nothing: it is not traced.
  std::optional<telemetry::RequestTrace> begin(const Request& request, std::int64_t began_unix_ns,
                                               std::int64_t now_ns) noexcept;

  struct Answered {
    const Route* route = nullptr;
    Method method = Method::other;
    Status status = 0;
  };
  /// Its span is recorded.
  static void end(const telemetry::RequestTrace& trace, const Answered& answered) noexcept;

 private:
  telemetry::Tracer* tracer_;
  const bool callers_;
  std::uint64_t threshold_ = 0;  // of 2^32; 0: no request by chance
  std::uint64_t dice_;
  const resilience::TokenRate rate_;
  resilience::TokenBucket bucket_;
  telemetry::Counter& traced_;
  telemetry::Counter& limited_;
  telemetry::Counter& malformed_;
};

}  // namespace trialwire::net
