// SPDX-License-Identifier: Apache-2.0
// All parts of the server and how they hang together. Built, started and stopped by the main
// thread; what is declared later uses what is declared earlier, and goes first.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "admin.hpp"
#include "admin_gate.hpp"
#include "config/settings.hpp"
#include "data_directory.hpp"
#include "guards.hpp"
#include "held_address.hpp"
#include "net/router.hpp"
#include "net/server.hpp"
#include "profile_service.hpp"
#include "runtime/processor_load.hpp"
#include "runtime/service_group.hpp"
#include "runtime/service_manager.hpp"
#include "runtime/shard.hpp"
#include "serve_archive.hpp"
#include "serve_audit.hpp"
#include "serve_auth.hpp"
#include "serve_discovery.hpp"
#include "serve_intake.hpp"
#include "serve_journal.hpp"
#include "serve_kafka.hpp"
#include "serve_outbound.hpp"
#include "serve_sinks.hpp"
#include "serve_store.hpp"
#include "serve_tls.hpp"
#include "serve_traces.hpp"
#include "telemetry/metrics.hpp"
#include "telemetry/trace/tracer.hpp"

namespace trialwire {

class Serving {
 public:
  Serving(const config::Settings& settings, journal::FileLayer& files);
  ~Serving();
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

  /// Takes what only one process can have: the addresses, then the data directory. An error leaves
  /// everything as it was.
  Result<void> claim();
  /// Recovers the journal, makes every part, listens.
  Result<void> prepare();
  /// Starts the parts in order; from here on clients are served.
  Result<void> start();
  /// Stops in reverse: no new connections, what was accepted is finished within runtime.drain, what
  /// is appended is committed (`on_committed` is called then), then the rest. Idempotent.
  void stop() noexcept;
  void on_committed(std::function<void()> hook) { on_committed_ = std::move(hook); }

  /// SIGUSR1: the threads; SIGUSR2: profiles. Into files; see profile_service.hpp. Between `start`
  /// and `stop`.
  void look_inside(int signal);

  ServingAddresses addresses() const;
  const DataDirectory& directory() const { return *directory_; }
  /// Of a process without a journal (neither gateway nor api), an empty one.
  journal::Status journal_status() const {
    return journal_ ? journal_->journal().status() : journal::Status{};
  }
  std::size_t shards() const noexcept { return shards_.size(); }

 private:
  bool has(config::Role role) const;
  Result<void> make_journal();
  Result<void> make_stores();
  journal::AskConsumers ask_consumers() const;
  Result<void> make_routes();
  Result<void> limit_routes();
  Result<void> make_servers();
  net::AdmissionOptions admission();
  Result<void> listen();
  void add_services();
  void add_source_services();
  void add_outbound_services();
  Result<void> make_admin();
  void add_watchdog();
  void drain_clients();
  void close_admin();
  ReadinessCheck journal_readiness() const;
  std::vector<ReadinessCheck> readiness();

  const config::Settings& settings_;
  journal::FileLayer& files_;
  telemetry::Registry metrics_;
  std::function<void()> on_committed_;
  std::atomic<Phase> phase_{Phase::starting};
  std::vector<HeldAddress> held_;
  std::unique_ptr<DataDirectory> directory_;
  std::vector<std::unique_ptr<runtime::Shard>> shards_;
  std::unique_ptr<runtime::Shard> control_;
  runtime::ProcessorLoad load_;                       // sampled by the control shard
  std::unique_ptr<telemetry::Tracer> tracer_;         // null: nothing is traced
  std::unique_ptr<JournalService> journal_;           // null: neither gateway nor api
  std::unique_ptr<AuditService> audit_;               // null: no journal
  std::unique_ptr<ArchiveService> archive_;           // null: there is none
  Guards guards_;                                     // of sinks and queries, which use them
  OutboundService outbound_;                          // stops before who is told of answers
  std::unique_ptr<TraceExportService> trace_export_;  // null: spans are sent nowhere
  std::unique_ptr<StoreService> store_;               // null: neither processor nor api
  std::unique_ptr<SinkService> sinks_;                // its sinks are the store's
  std::unique_ptr<IntakeService> intake_;
  std::unique_ptr<AuthService> auth_;            // null: everybody may do everything
  std::unique_ptr<TlsService> tls_;              // null: plain
  std::unique_ptr<AdminGate> admin_gate_;        // null: whoever reaches the admin port
  std::unique_ptr<DiscoveryService> discovery_;  // null: nobody is told where this is
  std::unique_ptr<ProfileService> profiles_;
  AdminSources admin_sources_;
  net::Router http_router_;
  net::Router admin_router_;
  std::unique_ptr<net::Server> http_;
  std::unique_ptr<net::Server> admin_;
  std::unique_ptr<runtime::Watchdog> watchdog_;
  runtime::ServiceGroup services_;
};

}  // namespace trialwire
