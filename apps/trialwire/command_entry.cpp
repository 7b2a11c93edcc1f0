// SPDX-License-Identifier: Apache-2.0
#include "command_entry.hpp"

#include <chrono>
#include <filesystem>

#include <fmt/format.h>

#include "account.hpp"
#include "audit/spool.hpp"

namespace trialwire {

Result<void> leave_command_entry(const config::Settings& settings, const CommandEntry& command) {
  std::error_code none;
  if (!std::filesystem::is_directory(settings.data_dir, none)) return {};
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  audit::Entry entry;
  entry.who = command.by.empty() ? account_name() : command.by;
  entry.what = command.reads ? audit::what_read : audit::what_command;
  entry.outcome = "begun";  // it is left before anything is done
  entry.target = fmt::format("trialwire {}", command.command);
  entry.at_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  entry.zone = audit::zone_at(entry.at_ns);
  entry.why = command.why;
  entry.detail = command.detail;
  entry.origin = fmt::format("command of {}", account_name());
  auto left = audit::leave_entry(settings.data_dir, entry);
  if (left) return {};
  return fail(left.error().code,
              fmt::format("not done, for it cannot be audited: {}", left.error().text));
}

}  // namespace trialwire
