// SPDX-License-Identifier: Apache-2.0
#include "serving.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include <fmt/format.h>

#include "config/pages.hpp"
#include "journal_consumers.hpp"
#include "open_files.hpp"
#include "process_metrics.hpp"
#include "profile_routes.hpp"
#include "route_readiness.hpp"
#include "serve_options.hpp"
#include "telemetry/log.hpp"
#include "trace_routes.hpp"

namespace trialwire {

using Clock = std::chrono::steady_clock;

namespace {

/// No new connections; waits until the last one has its answers, or for as long as that.
void drain(net::Server& server, std::chrono::nanoseconds patience) {
  server.drain();
  const auto deadline = Clock::now() + patience;
  while (server.connections() > 0 && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace

Serving::Serving(const config::Settings& settings, journal::FileLayer& files)
    : settings_(settings),
      files_(files),
      guards_(breaker_options(settings), metrics_),
      outbound_(settings, guards_, metrics_) {}

Serving::~Serving() {
  stop();
}

Result<void> Serving::claim() {
  for (const auto& [name, address] : {std::pair("http.listen", settings_.http.listen),
                                      std::pair("admin.listen", settings_.admin.listen)}) {
    auto held = HeldAddress::hold(name, address);
    if (!held) return std::unexpected(held.error());
    held_.push_back(std::move(*held));
  }
  auto directory = DataDirectory::open(settings_.data_dir);
  if (!directory) return std::unexpected(directory.error());
  directory_ = std::make_unique<DataDirectory>(std::move(*directory));
  return {};
}

Result<void> Serving::prepare() {
  if (directory_->open_to_others()) {
    telemetry::log(telemetry::LogLevel::warn, "serve", "data_dir is open to other users");
  }
  add_process_metrics(metrics_);
  profiles_ =
      std::make_unique<ProfileService>(profile_options(settings_, directory_->path()), metrics_);
  if (settings_.trace.spans > 0) {
    tracer_ = std::make_unique<telemetry::Tracer>(settings_.trace.spans);
    observe_tracer(*tracer_, metrics_);
    auto made = TraceExportService::make(*tracer_, outbound_, metrics_);
    if (!made) return std::unexpected(made.error());
    trace_export_ = std::move(*made);
  }
  unsigned count = shard_count(settings_);
  for (unsigned index = 0; index < count; ++index) {
    shards_.push_back(std::make_unique<runtime::Shard>(index));
  }
  control_ = std::make_unique<runtime::Shard>(count);
  control_->at_tick([this] { load_.sample(control_->now_ns()); });
  if (auto made = make_stores(); !made) return made;
  if (has(config::Role::api)) control_->at_tick([this] { store_->tick(); });
  if (auto made = make_servers(); !made) return made;
  if (auto listening = listen(); !listening) return listening;
  add_services();
  return {};
}

bool Serving::has(config::Role role) const {
  return has_role(settings_, role);
}

/// A database that is missing, locked or damaged does not keep the journal from starting; that it
/// is, the lane will say, too.
journal::AskConsumers Serving::ask_consumers() const {
  return [ask = journal_consumers(settings_, storage::Access::read)](const Uuid& journal) {
    auto consumers = ask(journal);
    for (const std::string& reason : consumers.silent) {
      telemetry::log(telemetry::LogLevel::warn, "serve",
                     "the database does not say what it has: the whole journal is verified",
                     {{"reason", std::string_view(reason)}});
    }
    return consumers;
  };
}

Result<void> Serving::make_journal() {
  auto options = journal_options(settings_, directory_->journal());
  options.consumers = ask_consumers();
  auto journal = JournalService::open(options, files_, shards_, *control_,
                                      admission_options(settings_).commit_age_max, metrics_);
  if (!journal) return std::unexpected(journal.error());
  journal_ = std::move(*journal);
  audit_ = std::make_unique<AuditService>(settings_, directory_->path(), *journal_, shards_,
                                          *control_, metrics_);
  if (auto noted = audit_->note_settings(settings_); !noted) return noted;
  // Before the sinks: the journal is to delete nothing that the archive lacks.
  auto archive =
      ArchiveService::make(settings_, *directory_, journal_->journal(), files_, metrics_);
  if (!archive) return std::unexpected(archive.error());
  archive_ = std::move(*archive);
  return {};
}

Result<void> Serving::make_stores() {
  // Of an api without a gateway it holds the audit trail of what is read here.
  if (has(config::Role::gateway) || has(config::Role::api)) {
    if (auto made = make_journal(); !made) return made;
  }
  sinks_ = std::make_unique<SinkService>(settings_, directory_->path(), metrics_);
  if (tracer_) sinks_->trace_to(*tracer_);
  if (has(config::Role::processor) || has(config::Role::api)) {
    journal::Journal* source = nullptr;
    if (journal_) source = archive_ ? &archive_->journal() : &journal_->journal();
    auto store = StoreService::make(settings_, directory_->path(), source, *sinks_, guards_,
                                    audit_.get(), metrics_);
    if (!store) return std::unexpected(store.error());
    store_ = std::move(*store);
  }
  if (has(config::Role::gateway)) {
    // Not what is archived: a Kafka that is added later would be sent all that there ever was.
    add_kafka_sink(settings_, directory_->path(), journal_->journal(), *sinks_, guards_, metrics_);
  }
  return sinks_->prepare();
}

Result<void> Serving::make_routes() {
  if (has(config::Role::gateway)) {
    auto intake = IntakeService::make(settings_, *journal_, shards_.size(), http_router_, metrics_);
    if (!intake) return std::unexpected(intake.error());
    intake_ = std::move(*intake);
  }
  if (has(config::Role::api)) {
    if (auto added = store_->add_routes(http_router_); !added) return added;
  }
  admin_sources_.metrics = &metrics_;
  admin_sources_.changes = audit_.get();
  admin_sources_.checks = [this] { return readiness(); };
  admin_sources_.config = [this] { return config::print_yaml(settings_); };
  if (auto added = add_profile_routes(admin_router_, *profiles_, audit_.get()); !added)
    return added;
  if (auto added = add_trace_route(admin_router_, tracer_.get(), audit_.get()); !added)
    return added;
  return add_admin_routes(admin_router_, admin_sources_);
}

/// A prefix that is none is a slip, unless its routes are another process's.
Result<void> Serving::limit_routes() {
  auto limited = http_router_.limit(admission_options(settings_).routes);
  if (limited) return {};
  const std::string text = fmt::format("limits.routes: {}", limited.error().text);
  if (has(config::Role::gateway) && has(config::Role::api)) {
    return fail(limited.error().code, text);
  }
  telemetry::log(telemetry::LogLevel::warn, "serve", "limits of a path that nothing here has",
                 {{"reason", std::string_view(text)}});
  return {};
}

Result<void> Serving::make_servers() {
  if (auto made = make_routes(); !made) return made;
  if (auto limited = limit_routes(); !limited) return limited;
  if (settings_.auth.mode == config::AuthMode::jwt) {
    auto auth = AuthService::make(settings_, shards_.size(), outbound_, metrics_);
    if (!auth) return std::unexpected(auth.error());
    auth_ = std::move(*auth);
    auth_->refresh_on(*control_);
    auth_->tell(audit_.get());
  }
  if (!settings_.http.tls.cert.empty()) {
    auto tls = TlsService::make(settings_.http.tls, metrics_);
    if (!tls) return std::unexpected(tls.error());
    tls_ = std::move(*tls);
    tls_->refresh_on(*control_);
  }
  const bool answers = has(config::Role::gateway) || has(config::Role::api);
  if (answers && !settings_.http.listen.empty()) {
    auto options = http_options(settings_);
    options.connections_max = connections_within(open_files_max(), options.connections_max);
    options.admission = admission();
    options.trace = trace_options(settings_, tracer_.get());
    if (journal_) {
      options.may_read = [&journal = journal_->journal(),
                          most = settings_.limits.unacknowledged_total] {
        return journal.pending_bytes() < most;
      };
    }
    if (auth_) options.gate = &auth_->gate();
    if (tls_) options.tls = &tls_->certificates();
    options.tls_kept_buffers = settings_.http.tls.kept_buffers;
    http_ = std::make_unique<net::Server>(std::move(options), http_router_, metrics_);
  }
  if (http_) {
    auto discovery = DiscoveryService::make(outbound_, metrics_);
    if (!discovery) return std::unexpected(discovery.error());
    discovery_ = std::move(*discovery);
  }
  return make_admin();
}

Result<void> Serving::make_admin() {
  if (settings_.admin.listen.empty()) return {};
  auto options = admin_options(settings_);
  if (!settings_.admin.token_file.empty()) {
    auto gate = AdminGate::open(settings_.admin.token_file, metrics_);
    if (!gate) return std::unexpected(gate.error());
    admin_gate_ = std::move(*gate);
    if (audit_) {
      admin_gate_->tell(
          [this](std::string_view reason, const net::Request& request, const net::Route& route) {
            audit_->admin_refused(reason, request, route);
          });
    }
    control_->at_tick([this] { admin_gate_->refresh(); });
    options.gate = admin_gate_.get();
  }
  admin_ = std::make_unique<net::Server>(std::move(options), admin_router_, metrics_);
  return {};
}

net::AdmissionOptions Serving::admission() {
  auto options = admission_options(settings_);
  options.cpu = [this] { return load_.per_mille(); };
  if (store_) options.queued = [this] { return store_->queued(); };
  const auto shards = static_cast<std::uint32_t>(std::max<std::size_t>(shards_.size(), 1));
  options.waiting_min = std::max(settings_.runtime.workers / shards, 1U);
  if (journal_) {
    options.commit_age_ns = [this](unsigned shard, std::int64_t now_ns) {
      return journal_->commit_age_ns(shard, now_ns);
    };
    options.commit_room = [this](unsigned shard, std::int64_t now_ns) {
      return journal_->commit_room(shard, now_ns);
    };
  }
  return options;
}

Result<void> Serving::listen() {
  held_.clear();
  if (http_) {
    std::vector<runtime::Shard*> shards;
    for (const auto& shard : shards_) shards.push_back(shard.get());
    if (auto listening = http_->listen(shards); !listening) return listening;
  }
  if (admin_) {
    std::array<runtime::Shard*, 1> shards{control_.get()};
    if (auto listening = admin_->listen(shards); !listening) return listening;
  }
  return {};
}

/// The client, which stops when nobody calls any more, and the keys of tokens, which come before
/// clients do.
void Serving::add_outbound_services() {
  services_.add({"outbound", {}, [this] { outbound_.stop(); }});
  if (!auth_) return;
  services_.add({"keys",
                 [this]() -> Result<void> {
                   auth_->start();
                   return {};
                 },
                 {}});
}

void Serving::add_services() {
  add_outbound_services();
  services_.add({"control",
                 [this]() -> Result<void> {
                   control_->start();
                   return {};
                 },
                 [this] {
                   if (admin_) close_admin();
                   control_->stop();
                 }});
  if (trace_export_) {
    services_.add({"traces",
                   [this]() -> Result<void> {
                     trace_export_->start();
                     return {};
                   },
                   [this] { trace_export_->stop(); }});
  }
  services_.add({"profiles",
                 [this]() -> Result<void> {
                   profiles_->start();
                   return {};
                 },
                 [this] { profiles_->stop(); }});
  add_source_services();
  services_.add({"clients",
                 [this]() -> Result<void> {
                   for (const auto& shard : shards_) shard->start();
                   phase_.store(Phase::serving);
                   return {};
                 },
                 [this] {
                   drain_clients();
                   if (audit_) audit_->flush();
                   // Receipts still need the shards: the journal stops before them.
                   if (journal_) journal_->stop();
                   if (on_committed_) on_committed_();
                   for (const auto& shard : shards_) shard->stop();
                 }});
  if (discovery_) {
    // Stops before clients are drained: they are told to go elsewhere first.
    services_.add({"discovery",
                   [this]() -> Result<void> {
                     discovery_->start(http_->address());
                     return {};
                   },
                   [this] { discovery_->stop(); }});
  }
  add_watchdog();
}

void Serving::add_watchdog() {
  services_.add({"watchdog",
                 [this]() -> Result<void> {
                   std::vector<runtime::Shard*> all{control_.get()};
                   for (const auto& shard : shards_) all.push_back(shard.get());
                   watchdog_ = std::make_unique<runtime::Watchdog>(std::move(all),
                                                                   runtime::watchdog_interval());
                   return {};
                 },
                 [this] { watchdog_.reset(); }});
}

/// The journal, who takes records out of it, and who keeps them.
void Serving::add_source_services() {
  if (journal_) {
    services_.add({"journal",
                   [this]() -> Result<void> {
                     journal_->start();
                     return {};
                   },
                   [this] { journal_->stop(); }});
  }
  services_.add({"sinks", [this] { return sinks_->start(); },
                 [this] {
                   // Lists first: the sink, which closes last, folds SQLite's log into the file.
                   if (store_) store_->stop();
                   sinks_->stop();
                 }});
  if (archive_) {
    // After the sinks, which hold back what they lack.
    services_.add({"archive",
                   [this]() -> Result<void> {
                     archive_->start();
                     return {};
                   },
                   [this] { archive_->stop(); }});
  }
}

Result<void> Serving::start() {
  if (auto started = services_.start(); !started) return started;
  return directory_->publish(addresses());
}

void Serving::stop() noexcept {
  phase_.store(Phase::draining);
  services_.stop();
}

/// Clients get their answers, or are closed when the time is over.
void Serving::drain_clients() {
  if (!http_) return;
  drain(*http_, settings_.runtime.drain);
  if (std::size_t left = http_->connections(); left > 0) {
    telemetry::log(telemetry::LogLevel::warn, "serve", "connections closed unfinished",
                   {{"connections", left}});
  }
  http_->close();
}

/// Who waits for a profile is told that there will be none.
void Serving::close_admin() {
  drain(*admin_, std::chrono::milliseconds(250));
  admin_->close();
}

void Serving::look_inside(int signal) {
  if (signal == SIGUSR1) {
    profiles_->list_threads_to_file();
  } else {
    profiles_->take_to_files();
  }
}

ServingAddresses Serving::addresses() const {
  return {http_ ? http_->address() : "", admin_ ? admin_->address() : ""};
}

ReadinessCheck Serving::journal_readiness() const {
  const journal::Status status = journal_status();
  if (status.failed) return {"journal", false, true, "the disk failed"};
  if (journal_->journal().backlog(status.next_sequence).blocked) {
    return {"journal", false, true,
            "no room, or too much is undelivered: reports are refused, or soon will be"};
  }
  return {"journal", true, true, ""};
}

std::vector<ReadinessCheck> Serving::readiness() {
  Phase phase = phase_.load();
  std::string_view names[] = {"starting", "serving", "draining"};
  auto room = disk_room(directory_->path());
  double least = settings_.admin.disk_room_min;
  std::vector<ReadinessCheck> checks;
  checks.push_back({"process", phase == Phase::serving, true,
                    std::string(names[static_cast<std::size_t>(phase)])});
  if (journal_) checks.push_back(journal_readiness());
  for (auto& check : sinks_->readiness()) checks.push_back(std::move(check));
  if (has(config::Role::api)) checks.push_back(store_->readiness());
  if (auth_) {
    if (auto keys = auth_->readiness()) checks.push_back(std::move(*keys));
  }
  if (discovery_) checks.push_back(discovery_->readiness());
  for (auto& check : guards_.readiness()) checks.push_back(std::move(check));
  if (http_ && settings_.breaker.routes) {
    checks.push_back(route_readiness(http_->route_breakers()));
  }
  if (archive_) checks.push_back(archive_->readiness());
  checks.push_back({"disk", room.free_percent() >= least, true,
                    fmt::format("{:.1f}% free, at least {:g}%", room.free_percent(), least)});
  return checks;
}

}  // namespace trialwire
