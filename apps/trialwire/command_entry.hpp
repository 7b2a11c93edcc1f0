// SPDX-License-Identifier: Apache-2.0
// What a command that changes something, or prints patients' data, leaves for the audit trail
// before it does so (audit/spool.hpp).
#pragma once
#include <string>
#include <string_view>

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

/// Where there is no data directory there is nothing to be audited. Any error: the command is not
/// to go on.
Result<void> leave_command_entry(const config::Settings& settings, const CommandEntry& command);

}  // namespace trialwire
