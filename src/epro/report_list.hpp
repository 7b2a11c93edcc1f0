// SPDX-License-Identifier: Apache-2.0
// GET /v1/epro/reports: a page of what was stored. The shard checks the parameters and hands the
// question to the worker pool; the page is sent when it comes back.
//
// Parameters, each at most once: patientId, trialId; since (inclusive), until (exclusive), RFC
// 3339, of the report's own timestamp; limit, 1 to 1000, default 100; cursor, the `next` of the
// page before. All that is wrong is answered at once, but for a cursor that has the form of one and
// is none, which the database's key tells; an unknown parameter is wrong. Bounds: the
// pool's queue (full: 503), `query_timeout` (504). A client that goes away, or a request whose
// deadline passes, cancels its query. Threads: `handle` on any shard. The query, the pool and this
// object outlive the router's server.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/error.hpp"
#include "ingest/field_errors.hpp"
#include "net/exchange.hpp"
#include "net/router.hpp"
#include "runtime/worker_pool.hpp"
#include "storage/report_query.hpp"

namespace trialwire::epro {

struct ReportListOptions {
  std::chrono::milliseconds query_timeout{5'000};
  std::size_t id_characters_max = 64;  // of patientId and trialId
  std::uint32_t limit_default = 100;
  std::uint32_t limit_max = 1'000;
};

/// What a connection's principal may see. While authentication is off everybody is anonymous and
/// sees everything; a name that nobody vouches for sees nothing.
using PrincipalOf = std::function<storage::Principal(const net::ConnectionInfo&)>;
storage::Principal anonymous_only(const net::ConnectionInfo& connection);

/// `text` is the target's query, as sent.
storage::ReportFilter parse_report_filter(std::string_view text, const ReportListOptions& options,
                                          ingest::FieldErrors& errors);

class ReportList {
 public:
  ReportList(ReportListOptions options, storage::ReportQuery& query, runtime::WorkerPool& workers,
             PrincipalOf principal_of = anonymous_only);
  void handle(net::Exchange& exchange);

 private:
  ReportListOptions options_;
  storage::ReportQuery& query_;
  runtime::WorkerPool& workers_;
  PrincipalOf principal_of_;
};

/// Adds the route; `list` must outlive the router's use. Errors: those of Router::add.
Result<void> add_list_routes(net::Router& router, ReportList& list);

}  // namespace trialwire::epro
