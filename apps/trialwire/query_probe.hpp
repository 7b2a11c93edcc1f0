// SPDX-License-Identifier: Apache-2.0
// Whether lists are answered, for /readyz: a worker asks each of them for nothing now and then, so
// that a database that is away or has no schema is known before a client meets it. It goes before
// the queries that wait for a worker: they may be what keeps the workers. A database that
// is silent is given up after `patience` and connecting after its own limit; a queue that is full
// or connections that are all in use are load, not an outage, and leave the answer as it was.
//
// `tick` and `check` from one thread, which never waits; `stop` from any. The workers are stopped
// before it or the query goes.
#pragma once
#include <chrono>
#include <functional>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "admin.hpp"
#include "query/record_lists.hpp"
#include "runtime/worker_pool.hpp"
#include "storage/record_query.hpp"

namespace trialwire {

struct QueryProbeOptions {
  std::chrono::milliseconds interval{1'000};  // from answer to question
  std::chrono::milliseconds patience{2'000};  // for all lists together
  bool required = true;                       // nothing else is served here
  std::function<void()> answered;             // told, on a worker, of each good answer; or empty
};

class QueryProbe {
 public:
  using Clock = std::chrono::steady_clock;

  QueryProbe(QueryProbeOptions options, std::span<const query::ListRoute> routes,
             storage::RecordQuery& query, runtime::WorkerPool& workers);

  void tick(Clock::time_point now);
  /// A question under way is given up. For good.
  void stop() noexcept { stop_.request_stop(); }
  ReadinessCheck check() const;

 private:
  void ask() noexcept;

  const QueryProbeOptions options_;
  const std::vector<query::ListRoute> routes_;
  storage::RecordQuery& query_;
  runtime::WorkerPool& workers_;
  std::stop_source stop_;
  mutable std::mutex mutex_;  // of what follows
  Clock::time_point due_{};
  bool asking_ = false;
  bool ok_ = false;
  std::string detail_ = "not asked yet";
};

}  // namespace trialwire
