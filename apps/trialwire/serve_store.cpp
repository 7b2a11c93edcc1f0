// SPDX-License-Identifier: Apache-2.0
#include "serve_store.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "audit/audit_list.hpp"
#include "audit/audit_rows.hpp"
#include "epro/report_list.hpp"
#include "epro/report_rows.hpp"
#include "named_sink.hpp"
#include "pipeline/guarded_sink.hpp"
#include "pipeline/sink_lanes.hpp"
#include "qol/qol_list.hpp"
#include "qol/qol_rows.hpp"
#include "serve_options.hpp"
#include "telemetry/log.hpp"
#include "trial/metric_list.hpp"
#include "trial/metric_rows.hpp"
#include "vitals/vital_list.hpp"
#include "vitals/vital_rows.hpp"

namespace trialwire {
namespace {

storage::RowMappers row_mappers() {
  storage::RowMappers mappers;
  mappers.push_back(epro::make_report_rows());
  mappers.push_back(qol::make_rows());
  mappers.push_back(vitals::make_rows());
  mappers.push_back(trial::make_rows());
  mappers.push_back(audit::make_rows());
  return mappers;
}

query::RecordListOptions list_options(const config::Settings& settings, Guards& guards) {
  query::RecordListOptions options;
  if (has_role(settings, config::Role::api)) {
    options.guard = &guards.add("queries", settings.runtime.workers);
  }
  options.query_timeout =
      std::chrono::ceil<std::chrono::milliseconds>(settings.limits.request_deadline);
  return options;
}

/// Where there is no journal nothing can be audited, and so nothing is read.
class NoReads final : public query::ReadLog {
 public:
  Result<void> admit(runtime::Shard&) override {
    return fail(ErrorCode::unavailable, "no audit trail in this process");
  }
  bool add(const query::Read&, runtime::Shard&, journal::Waiter&) override { return false; }
};

/// How many lanes have left a cursor of this journal in the database, at least one.
Result<unsigned> lanes_in(storage::Session& session, std::string_view sink, const Uuid& journal) {
  auto cursors = storage::stored_cursors(session);
  if (!cursors) return std::unexpected(cursors.error());
  const std::string of = journal.text();
  unsigned lanes = 1;
  for (const storage::StoredCursor& cursor : *cursors) {
    if (cursor.sink == sink && cursor.journal == of) lanes = std::max(lanes, cursor.lane + 1);
  }
  return lanes;
}

}  // namespace

std::array<query::ListRoute, 5> list_routes() {
  return {epro::report_list(), qol::answer_list(), vitals::vital_list(), trial::metric_list(),
          audit::audit_list()};
}

Result<Sinks> make_store_sinks(const storage::Store& store, const Uuid& journal, unsigned lanes,
                               telemetry::Registry& metrics) {
  auto session = store.connect(storage::Access::read);
  if (session) {
    auto stored = lanes_in(**session, store.name(), journal);
    if (!stored) return std::unexpected(stored.error());
    lanes = std::max(lanes, *stored);
  } else if (session.error().code != ErrorCode::not_found || !store.made_when_missing()) {
    return std::unexpected(session.error());
  }
  Sinks sinks;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    sinks.push_back(store.make_sink(lane, row_mappers(), metrics));
  }
  return sinks;
}

Result<std::unique_ptr<StoreService>> StoreService::make(const config::Settings& settings,
                                                         const std::filesystem::path& data_dir,
                                                         journal::Journal* journal,
                                                         SinkService& sinks, Guards& guards,
                                                         query::ReadLog* reads,
                                                         telemetry::Registry& metrics) {
  auto store = storage::open_store(store_options(settings, data_dir));
  if (!store) return std::unexpected(store.error());
  std::unique_ptr<StoreService> service(
      new StoreService(settings, std::move(*store), guards, reads, metrics));
  const bool gateway = has_role(settings, config::Role::gateway);
  if (has_role(settings, config::Role::processor)) {
    auto& guard = guards.add(std::string(service->store_->name()));
    service->add_sink(gateway ? journal : nullptr, sinks, guard, metrics);
  }
  if (journal != nullptr && !gateway) service->add_audit_sink(*journal, sinks, guards, metrics);
  return service;
}

StoreService::StoreService(const config::Settings& settings, std::unique_ptr<storage::Store> store,
                           Guards& guards, query::ReadLog* reads, telemetry::Registry& metrics)
    : store_(std::move(store)),
      no_reads_(reads == nullptr ? std::make_unique<NoReads>() : nullptr),
      workers_(worker_options(settings)),
      query_(store_->make_query()),
      lists_(list_options(settings, guards), list_routes(), *query_, workers_,
             reads == nullptr ? *no_reads_ : *reads),
      probe_({.required = !has_role(settings, config::Role::gateway),
              .answered = [this] { lists_.note_answer(); }},
             list_routes(), *query_, workers_) {
  metrics.observe("trialwire_worker_queue", "Queries that wait for a worker.", {},
                  [this] { return static_cast<double>(workers_.queued()); });
  metrics.observe("trialwire_worker_queue_max", "Queries that may wait for a worker.", {},
                  [max = settings.runtime.worker_queue] { return static_cast<double>(max); });
  metrics.observe_total("trialwire_worker_refused_total", "Queries refused: the queue was full.",
                        {}, [this] { return static_cast<double>(workers_.refused()); });
}

/// A partition's cursor is kept by its own id: all of them are lane 0.
void StoreService::add_sink(journal::Journal* journal, SinkService& sinks, runtime::Guard& guard,
                            telemetry::Registry& metrics) {
  auto make = [this, &guard, &metrics](unsigned lane) {
    return pipeline::guard_sink(store_->make_sink(lane, row_mappers(), metrics), guard);
  };
  // What works here takes intake's processors: a burst is taken first, whatever its pace.
  auto adapt = [this](pipeline::LaneOptions& lane) {
    if (store_->works_in_process()) lane.give_way.lag_in_pace = lane.give_way.lag_max;
  };
  if (journal != nullptr) {
    adapt(sinks.add(store_->name(), make, *journal));
  } else {
    sinks.add_group(store_->name(), [make] { return make(0); }, adapt);
  }
}

/// What is read at a node without a gateway is in a journal of its own, which nobody else takes to
/// the database. A processor's sink has the store's name already.
void StoreService::add_audit_sink(journal::Journal& journal, SinkService& sinks, Guards& guards,
                                  telemetry::Registry& metrics) {
  runtime::Guard& guard = guards.add(std::string(audit_sink_name));
  sinks.add(
      audit_sink_name,
      [this, &guard, &metrics](unsigned lane) {
        auto sink = store_->make_sink(lane, row_mappers(), metrics);
        return name_sink(pipeline::guard_sink(std::move(sink), guard), audit_sink_name);
      },
      journal);
}

Result<void> StoreService::add_routes(net::Router& router) {
  return lists_.add_routes(router);
}

/// The readers' connections go before the sink's: the last one of an SQLite file that may write
/// puts its log into it.
void StoreService::stop() {
  probe_.stop();
  workers_.stop();
  query_.reset();
}

}  // namespace trialwire
