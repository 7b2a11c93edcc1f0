// SPDX-License-Identifier: Apache-2.0
// The lists of records over HTTP: GET of a path is a page of what was stored of one kind. The shard
// checks the parameters (list_filter.hpp) and hands the question to the worker pool; the page is
// sent when it comes back.
//
// All that is wrong with the parameters is answered at once. Bounds: the pool's queue (full: 503),
// `query_timeout` (504). While queries fail most are answered 503 by the shard, without a worker.
// One that ran out of time has failed only if nobody's was answered meanwhile: else it is the query
// that is slow, and not the database. A client that goes away, or a request whose deadline passes,
// cancels its query.
//
// Every read is audited: a page is sent when what was asked, by whom and how many rows it has is
// durable in the journal (read_log.hpp), and not otherwise: 503. One whose client has gone before
// its page came is not: nothing was read. Threads: `handle` on any shard. The query, the pool, the
// log of reads and this object outlive the router's server.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "auth/principal.hpp"
#include "base/error.hpp"
#include "net/exchange.hpp"
#include "net/router.hpp"
#include "query/read_log.hpp"
#include "runtime/guard.hpp"
#include "runtime/worker_pool.hpp"
#include "storage/record_query.hpp"

namespace trialwire::query {

/// One list, as a capability declares it. Static.
struct ListRoute {
  std::string_view path;  // "/v1/epro/reports"
  storage::ListShape shape;
  std::string_view role;  // that a token must name besides the scope; empty: none
};

struct RecordListOptions {
  std::chrono::milliseconds query_timeout{5'000};
  /// Breaker of pool and database together; outlives the lists. Null: none.
  runtime::Guard* guard = nullptr;
};

/// What they may see: the rows of their studies, of their sites among them, and of their own
/// patient where they are one's. Whose token names no study, or an empty list of studies or sites,
/// sees nothing. While authentication is off everybody is anonymous and sees everything.
storage::Principal visible_to(const auth::Principal& who);

class RecordLists {
 public:
  RecordLists(RecordListOptions options, std::span<const ListRoute> routes,
              storage::RecordQuery& query, runtime::WorkerPool& workers, ReadLog& reads);

  /// A route each; this object must outlive the router's use. Errors: those of Router::add.
  Result<void> add_routes(net::Router& router);
  /// `route` is one of those given.
  void handle(const ListRoute& route, net::Exchange& exchange);
  std::span<const ListRoute> routes() const noexcept { return routes_; }
  /// The database has answered just now, whoever asked it. Any thread.
  void note_answer() noexcept;

 private:
  RecordListOptions options_;
  std::vector<ListRoute> routes_;
  storage::RecordQuery& query_;
  runtime::WorkerPool& workers_;
  ReadLog& reads_;
  // When somebody was answered last, of the steady clock; a worker may outlive this object.
  using AnsweredAt = std::atomic<std::int64_t>;
  std::shared_ptr<AnsweredAt> answered_ns_ = std::make_shared<AnsweredAt>(INT64_MIN);
};

}  // namespace trialwire::query
