// SPDX-License-Identifier: Apache-2.0
// Calls of another server, or of several that are as good as each other. In this order:
//
//   calls under way are bounded → breaker → endpoint (p2c_ewma) → attempt → once more, if that may
//   help, the budget has a retry and the deadline leaves time, after a wait with jitter
//
// What is refused before it is made is known at once, in microseconds. A call fails for its breaker
// and its endpoint when no whole answer came or its status is 500 and above; an answer of 4xx is
// one. An attempt is repeated when nothing of it was sent, or when it may arrive twice and was cut
// off or answered 502, 503 or 504.
//
// Errors, whose texts name the target and nothing of URL or answer: unavailable (breaker, no
// endpoint, not reached, not trusted, cut off), overloaded (too many under way), deadline_exceeded,
// payload_too_large, cancelled (by the caller, or the loop stopped), invalid_argument (a request
// that could smuggle another: spaces or control characters in target or headers).
//
// Threads: any; `done` is called on the loop's thread and must not block.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "outbound/endpoints.hpp"
#include "outbound/http_loop.hpp"
#include "outbound/http_message.hpp"
#include "resilience/backoff.hpp"
#include "resilience/retry_budget.hpp"
#include "runtime/guard.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::outbound {

struct HttpTargetOptions {
  std::string name;  // in metrics, log and errors; one of a kind
  bool tls = false;
  ClientTls files;
  std::string proxy;                          // "http://host:port"; empty: none
  std::chrono::milliseconds deadline{5'000};  // where a request has none of its own
  std::chrono::milliseconds connect_timeout{2'000};
  std::size_t answer_bytes_max = 1 << 20;
  std::uint32_t concurrent_max = 64;
  std::uint32_t retries = 1;  // attempts beyond the first, at most
  resilience::BackoffOptions backoff{.first = std::chrono::milliseconds(50),
                                     .cap = std::chrono::milliseconds(1'000)};
  resilience::RetryBudgetOptions budget;
};

class HttpTarget {
 public:
  using Done = std::move_only_function<void(Result<HttpResponse>)>;

  /// Loop and guard outlive it; a call may outlive it, until the loop stops.
  HttpTarget(HttpTargetOptions options, std::shared_ptr<const EndpointSource> endpoints,
             HttpLoop& loop, runtime::Guard& guard, telemetry::Registry& metrics);
  ~HttpTarget();
  HttpTarget(const HttpTarget&) = delete;
  HttpTarget& operator=(const HttpTarget&) = delete;

  /// An error: the call is not made and `done` is not called. Else it is, once.
  Result<void> start(HttpRequest request, Done done);
  /// Waits for it. Never on a shard, nor on the loop's thread.
  Result<HttpResponse> call(HttpRequest request);

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with calls under way
};

}  // namespace trialwire::outbound
