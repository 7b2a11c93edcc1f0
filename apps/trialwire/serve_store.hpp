// SPDX-License-Identifier: Apache-2.0
// The database of the records: the sink that they go to, where this process has the role for that,
// and the workers and routes that read them.
#pragma once
#include <array>
#include <filesystem>
#include <memory>
#include <vector>

#include "config/settings.hpp"
#include "guards.hpp"
#include "journal/journal.hpp"
#include "net/router.hpp"
#include "query/record_lists.hpp"
#include "query_probe.hpp"
#include "runtime/worker_pool.hpp"
#include "serve_sinks.hpp"
#include "storage/sql/store.hpp"

namespace trialwire {

/// The list of each kind of record.
std::array<query::ListRoute, 5> list_routes();

using Sinks = std::vector<std::unique_ptr<pipeline::Sink>>;

/// Every lane of the store's sink: `lanes`, or as many as have left a cursor of the journal in the
/// database.
Result<Sinks> make_store_sinks(const storage::Store& store, const Uuid& journal, unsigned lanes,
                               telemetry::Registry& metrics);

class StoreService {
 public:
  /// Of a processor, adds its sink to `sinks`, which is outlived by it: for `journal`, this
  /// machine's with what is archived before it, or, when that is null, for Kafka's group. Fails
  /// when no such database is known. `guards` get a breaker for the sink, which all its lanes
  /// share, and one for queries; all three outlive the service. `reads` is where lists are audited;
  /// null, of a process without journal: they answer 503, if anybody asks.
  static Result<std::unique_ptr<StoreService>> make(const config::Settings& settings,
                                                    const std::filesystem::path& data_dir,
                                                    journal::Journal* journal, SinkService& sinks,
                                                    Guards& guards, query::ReadLog* reads,
                                                    telemetry::Registry& metrics);

  ~StoreService() { stop(); }
  Result<void> add_routes(net::Router& router);
  /// Queries that wait for a worker. Any thread.
  std::size_t queued() const noexcept { return workers_.queued(); }
  /// When nobody asks any more: closes the connections of queries. Idempotent.
  void stop();

  /// Of the role api, from the control shard: `tick` now and then, so that readiness is known.
  void tick() { probe_.tick(QueryProbe::Clock::now()); }
  ReadinessCheck readiness() const { return probe_.check(); }

 private:
  StoreService(const config::Settings& settings, std::unique_ptr<storage::Store> store,
               Guards& guards, query::ReadLog* reads, telemetry::Registry& metrics);
  void add_sink(journal::Journal* journal, SinkService& sinks, runtime::Guard& guard,
                telemetry::Registry& metrics);
  void add_audit_sink(journal::Journal& journal, SinkService& sinks, Guards& guards,
                      telemetry::Registry& metrics);

  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<query::ReadLog> no_reads_;
  runtime::WorkerPool workers_;
  std::unique_ptr<storage::RecordQuery> query_;
  query::RecordLists lists_;
  QueryProbe probe_;
};

}  // namespace trialwire
