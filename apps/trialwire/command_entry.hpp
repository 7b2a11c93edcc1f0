// SPDX-License-Identifier: Apache-2.0
// What a command that changes something, or prints patients' data, leaves for the audit trail: that
// it begins, before it does so (audit/spool.hpp), and what came of it.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "audit/entry.hpp"
#include "base/error.hpp"
#include "config/settings.hpp"

namespace trialwire {

struct CommandEntry {
  std::string_view command;  // "deadletter discard"
  bool reads = false;        // it prints what was sent; else it changes something
  std::string by;            // empty: the account
  std::string why;           // empty: not said
  std::string detail;        // a JSON object; empty: none
};

/// Of one command: an entry "begun", and "done" or "failed" when this goes. Of one that was killed
/// there is the first alone.
class CommandAudit {
 public:
  CommandAudit() = default;
  CommandAudit(const CommandAudit&) = delete;
  CommandAudit& operator=(const CommandAudit&) = delete;
  /// Leaves what came of it; that this cannot be left is said on standard error, for what was done
  /// is done.
  ~CommandAudit();

  /// Once, before anything is done. Where there is no data directory there is nothing to be
  /// audited. Any error: the command is not to go on.
  Result<void> begin(const config::Settings& settings, const CommandEntry& command);
  /// It did all that it was asked for. Until this is said it has failed.
  void done() noexcept { done_ = true; }

 private:
  std::filesystem::path data_dir_;  // empty: nothing was begun
  audit::Entry entry_;
  bool done_ = false;
};

}  // namespace trialwire
