// SPDX-License-Identifier: Apache-2.0
// The audit trail of a server that has a journal: who of its parts has something to write, and the
// journal's appenders, one a shard and one of the control shard. docs/decisions/audit.md.
//
// Threads: each shard writes its own; entries of settings and of the spool are the control shard's.
#pragma once
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "admin.hpp"
#include "audit/refusals.hpp"
#include "audit/spool.hpp"
#include "audit/trail.hpp"
#include "config/settings.hpp"
#include "net/gate.hpp"
#include "operator_log.hpp"
#include "query/read_log.hpp"
#include "runtime/shard.hpp"
#include "serve_journal.hpp"
#include "settings_memory.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire {

class AuditService final : public query::ReadLog,
                           public net::RefusalListener,
                           public ChangeLog,
                           public OperatorLog {
 public:
  /// Before the shards start. `control` comes after them in the journal's appenders. All outlive
  /// it, but the shards' hooks, which must not run any more when it is gone.
  AuditService(const config::Settings& settings, const std::filesystem::path& data_dir,
               JournalService& journal, std::span<const std::unique_ptr<runtime::Shard>> shards,
               runtime::Shard& control, telemetry::Registry& metrics);
  ~AuditService() override;

  /// Settings that differ from those of the last start become an entry. An error: what the last
  /// start had cannot be read, or this start's cannot be kept.
  Result<void> note_settings(const config::Settings& settings);

  Result<void> admit(runtime::Shard& shard) override;
  bool add(const query::Read& read, runtime::Shard& shard, journal::Waiter& waiter) override;
  void refused(auth::Refusal why, const auth::Principal* who, const net::Request& request,
               const net::Route& route, runtime::Shard& shard) noexcept override;
  void change(net::Exchange& exchange, SettingChange change) override;
  bool takes_entries() noexcept override;
  void note(const net::Exchange& exchange, const OperatorAct& act,
            journal::Waiter& waiter) override;
  /// Of the admin port, on the control shard: one whose token was not taken.
  void admin_refused(std::string_view reason, const net::Request& request,
                     const net::Route& route) noexcept;

  /// When no request comes any more, before the journal stops: hands what is counted to it.
  void flush();

 private:
  class SettingsEntry;
  struct Desk {  // of one shard
    Desk(runtime::Shard& of, journal::Appender& appender, const audit::RefusalOptions& options,
         telemetry::Registry& metrics)
        : shard(of), trail(appender, metrics), refusals(trail, options, metrics) {}
    runtime::Shard& shard;
    audit::Trail trail;
    audit::Refusals refusals;
  };

  static void flush(runtime::Shard& shard, audit::Refusals& refusals);

  std::vector<std::unique_ptr<Desk>> desks_;  // the shards'
  runtime::Shard& control_;
  audit::Trail control_trail_;
  audit::Refusals admin_refusals_;
  audit::Spool spool_;
  SettingsMemory memory_;
  const bool journal_is_new_;
  std::unique_ptr<SettingsEntry> settings_entry_;  // null: nothing changed
};

}  // namespace trialwire
