// SPDX-License-Identifier: Apache-2.0
// Where reports go from the journal, and where queries read them: the sink's lane, the workers,
// the query routes.
#pragma once
#include <filesystem>
#include <memory>
#include <vector>

#include "admin.hpp"
#include "config/settings.hpp"
#include "journal/journal.hpp"
#include "net/router.hpp"
#include "pipeline/lane.hpp"
#include "query/record_lists.hpp"
#include "runtime/worker_pool.hpp"
#include "sink_progress.hpp"
#include "storage/sql/store.hpp"

namespace trialwire {

/// Up to where all sinks are, as their databases say: a start need not verify that again. A
/// database that is missing, locked or damaged has everything verified; that it is, the lane will
/// say.
journal::ConsumedBelow consumed_below(const config::Settings& settings,
                                      const std::filesystem::path& data_dir);

using Sinks = std::vector<std::unique_ptr<pipeline::Sink>>;

/// Every lane of the store's sink, as the database says how many share the journal's records; one
/// where it says nothing.
Result<Sinks> make_store_sinks(const storage::Store& store, const Uuid& journal,
                               telemetry::Registry& metrics);

class StoreService {
 public:
  /// Fails when no such database is known.
  static Result<std::unique_ptr<StoreService>> make(const config::Settings& settings,
                                                    const std::filesystem::path& data_dir,
                                                    journal::Journal& journal,
                                                    telemetry::Registry& metrics);

  Result<void> add_routes(net::Router& router);
  /// Fails when the database's cursor does not belong to this journal.
  Result<void> start();
  void stop();

  /// On the control shard. A lag that does not shrink is shown; intake goes on.
  ReadinessCheck readiness();

 private:
  StoreService(const config::Settings& settings, std::unique_ptr<storage::Store> store,
               journal::Journal& journal, telemetry::Registry& metrics);

  std::unique_ptr<storage::Store> store_;
  journal::Journal& journal_;
  runtime::WorkerPool workers_;
  std::unique_ptr<storage::RecordQuery> query_;
  query::RecordLists lists_;
  pipeline::Lane lane_;
  SinkProgress progress_{std::chrono::steady_clock::now()};
};

}  // namespace trialwire
