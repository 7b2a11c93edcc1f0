// SPDX-License-Identifier: Apache-2.0
#include "serve_audit.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "account.hpp"
#include "base/check.hpp"
#include "net/response.hpp"
#include "telemetry/log.hpp"

namespace trialwire {
namespace {

constexpr std::chrono::seconds flush_patience{1};

audit::RefusalOptions refusal_options(const config::AuditSettings& settings, std::string server,
                                      std::size_t shards) {
  return {
      .server = std::move(server),
      .keys_max = std::max<std::size_t>(settings.refusals / std::max<std::size_t>(shards, 1), 1),
      .interval_ns = settings.refusals_interval.count()};
}

/// "127.0.0.1" of "http 127.0.0.1:5123".
std::string_view address_of(std::string_view origin) noexcept {
  origin.remove_prefix(std::min(origin.size(), origin.find(' ') + 1));
  return origin.substr(0, origin.rfind(':'));
}

audit::Entry entry_of(const query::Read& read, std::int64_t now_ns) {
  audit::Entry entry;
  entry.who = read.who;
  entry.roles = read.roles;
  entry.what = audit::what_read;
  entry.target = fmt::format("GET {}", read.route);
  entry.study = read.study;
  entry.site = read.site;
  entry.subject = read.patient;
  entry.at_ns = now_ns;
  entry.zone = audit::zone_at(now_ns);
  entry.rows = read.rows;
  entry.why = read.why;
  entry.detail = read.filter;
  entry.origin = read.origin;
  return entry;
}

/// What who asks on the admin port: its subject is still to be said.
audit::Entry entry_of(const net::Exchange& exchange, std::int64_t now_ns) {
  audit::Entry entry;
  entry.who = exchange.principal().name;
  entry.roles = exchange.principal().roles;
  entry.at_ns = now_ns;
  entry.zone = audit::zone_at(now_ns);
  entry.origin = exchange.connection().origin;
  return entry;
}

/// Of a setting that is changed at run time: the change is made when its entry is durable.
class ChangeAnswer final : public net::DeferredAnswer, public journal::Waiter {
 public:
  explicit ChangeAnswer(SettingChange change) : change_(std::move(change)) {}
  void render(net::ResponseWriter& writer) override {
    if (done_) {
      writer.start(200).body("text/plain; charset=utf-8", change_.answer);
    } else {
      writer.problem(ErrorCode::unavailable, change_unaudited);
    }
  }
  void committed(const journal::Receipt& receipt) noexcept override {
    done_ = receipt.state == journal::Receipt::State::durable;
    if (done_) change_.apply();
    complete();
  }

 private:
  SettingChange change_;
  bool done_ = false;
};

}  // namespace

/// Written as soon as the journal takes it: a start with a full journal must be possible.
class AuditService::SettingsEntry final : public journal::Waiter {
 public:
  SettingsEntry(audit::Entry entry, ShownSettings settings, const SettingsMemory& memory,
                audit::Trail& trail)
      : entry_(std::move(entry)), settings_(std::move(settings)), memory_(memory), trail_(trail) {}

  void tick(std::int64_t unix_ns) {
    if (waiting_ || done_) return;
    waiting_ = trail_.admit() && trail_.add({&entry_, 1}, unix_ns, *this);
  }
  void committed(const journal::Receipt& receipt) noexcept override {
    waiting_ = false;
    done_ = receipt.state == journal::Receipt::State::durable;
    if (!done_) return trail_.refused();
    if (auto kept = memory_.keep(settings_); !kept) {
      telemetry::log(telemetry::LogLevel::error, "audit",
                     "the settings are not kept: the next start says once more what has changed",
                     {{"reason", std::string_view(kept.error().text)}});
    }
  }

 private:
  audit::Entry entry_;
  ShownSettings settings_;
  const SettingsMemory& memory_;
  audit::Trail& trail_;
  bool waiting_ = false;
  bool done_ = false;
};

AuditService::AuditService(const config::Settings& settings, const std::filesystem::path& data_dir,
                           JournalService& journal,
                           std::span<const std::unique_ptr<runtime::Shard>> shards,
                           runtime::Shard& control, telemetry::Registry& metrics)
    : control_(control),
      control_trail_(journal.control_appender(), metrics),
      admin_refusals_(control_trail_, refusal_options(settings.audit, "admin", 1), metrics),
      spool_(audit::spool_directory(data_dir), control_trail_, metrics),
      memory_(data_dir),
      journal_is_new_(journal.journal().status().next_sequence == 1) {
  for (const auto& shard : shards) {
    desks_.push_back(std::make_unique<Desk>(*shard, journal.appender(shard->index()),
                                            refusal_options(settings.audit, "http", shards.size()),
                                            metrics));
    shard->at_tick([&desk = *desks_.back()] { desk.refusals.tick(desk.shard.unix_now_ns()); });
  }
  control.at_tick([this] {
    const std::int64_t now_ns = control_.unix_now_ns();
    if (settings_entry_) settings_entry_->tick(now_ns);
    admin_refusals_.tick(now_ns);
    spool_.tick(now_ns);
  });
}

AuditService::~AuditService() = default;

Result<void> AuditService::note_settings(const config::Settings& settings) {
  ShownSettings now = shown_settings(settings);
  auto before = memory_.recall();
  if (!before) return std::unexpected(before.error());
  // The first start of all changes nothing: what it has is kept, to be compared with.
  if (!*before && journal_is_new_) return memory_.keep(now);
  const auto changed = difference(before->value_or(ShownSettings{}), now);
  if (changed.before.empty() && changed.after.empty()) return {};
  audit::Entry entry;
  entry.who = account_name();
  entry.what = audit::what_setting;
  entry.target = "settings of this start";
  entry.at_ns =
      std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  entry.zone = audit::zone_at(entry.at_ns);
  if (!*before) entry.detail = R"({"before":"not known"})";
  entry.old_value = changed.before;
  entry.new_value = changed.after;
  entry.origin = fmt::format("process {}", ::getpid());
  settings_entry_ =
      std::make_unique<SettingsEntry>(std::move(entry), std::move(now), memory_, control_trail_);
  return {};
}

Result<void> AuditService::admit(runtime::Shard& shard) {
  TW_CHECK(shard.index() < desks_.size());
  return desks_[shard.index()]->trail.admit();
}

bool AuditService::add(const query::Read& read, runtime::Shard& shard, journal::Waiter& waiter) {
  TW_CHECK(shard.index() < desks_.size());
  const std::int64_t now_ns = shard.unix_now_ns();
  const audit::Entry entry = entry_of(read, now_ns);
  return desks_[shard.index()]->trail.add({&entry, 1}, now_ns, waiter);
}

void AuditService::refused(auth::Refusal why, const auth::Principal* who,
                           const net::Request& request, const net::Route& route,
                           runtime::Shard& shard) noexcept {
  try {
    TW_CHECK(shard.index() < desks_.size());
    const std::string target = fmt::format("{} {}", name_of(route.method), route.pattern);
    desks_[shard.index()]->refusals.count(
        {.what = who == nullptr ? audit::what_login_failure : audit::what_refused,
         .reason = auth::label_of(why),
         .address = address_of(request.origin),
         .target = target,
         .who = who == nullptr ? std::string_view() : std::string_view(who->name)},
        shard.unix_now_ns());
  } catch (const std::bad_alloc&) {  // it is refused all the same
  }
}

void AuditService::admin_refused(std::string_view reason, const net::Request& request,
                                 const net::Route& route) noexcept {
  try {
    const std::string target = fmt::format("{} {}", name_of(route.method), route.pattern);
    admin_refusals_.count({.what = audit::what_login_failure,
                           .reason = reason,
                           .address = address_of(request.origin),
                           .target = target,
                           .who = {}},
                          control_.unix_now_ns());
  } catch (const std::bad_alloc&) {  // it is refused all the same
  }
}

void AuditService::change(net::Exchange& exchange, SettingChange change) {
  const std::int64_t now_ns = control_.unix_now_ns();
  audit::Entry entry = entry_of(exchange, now_ns);
  entry.what = audit::what_setting;
  entry.target = change.name;
  entry.why = change.why;
  entry.old_value = change.old_value;
  entry.new_value = change.new_value;
  if (!control_trail_.admit()) {
    return exchange.fail({ErrorCode::unavailable, std::string(change_unaudited)});
  }
  auto& answer = exchange.defer<ChangeAnswer>(std::move(change));
  if (control_trail_.add({&entry, 1}, now_ns, answer)) return;
  answer.committed({.state = journal::Receipt::State::refused});
}

bool AuditService::takes_entries() noexcept {
  return control_trail_.admit().has_value();
}

void AuditService::note(const net::Exchange& exchange, const OperatorAct& act,
                        journal::Waiter& waiter) {
  const std::int64_t now_ns = control_.unix_now_ns();
  audit::Entry entry = entry_of(exchange, now_ns);
  entry.what = act.what;
  entry.target = fmt::format("{} {}", name_of(exchange.request().method), exchange.request().route);
  entry.why = act.why;
  entry.detail = act.detail;
  entry.rows = act.rows;
  if (control_trail_.add({&entry, 1}, now_ns, waiter)) return;
  waiter.committed({.state = journal::Receipt::State::refused});
}

void AuditService::flush() {
  for (const auto& desk : desks_) flush(desk->shard, desk->refusals);
  flush(control_, admin_refusals_);
}

void AuditService::flush(runtime::Shard& shard, audit::Refusals& refusals) {
  if (!shard.running()) return;
  auto done = std::make_shared<std::promise<void>>();  // who waits may give up before it is done
  auto counted = done->get_future();
  shard.post([&shard, &refusals, done] {
    refusals.tick(shard.unix_now_ns(), true);
    done->set_value();
  });
  counted.wait_for(flush_patience);
}

}  // namespace trialwire
