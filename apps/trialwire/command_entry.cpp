// SPDX-License-Identifier: Apache-2.0
#include "command_entry.hpp"

#include <chrono>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include "account.hpp"
#include "audit/spool.hpp"
#include "base/rfc3339.hpp"

namespace trialwire {
namespace {

void stamp(audit::Entry& entry) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  entry.at_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  entry.zone = audit::zone_at(entry.at_ns);
}

}  // namespace

Result<void> CommandAudit::begin(const config::Settings& settings, const CommandEntry& command) {
  std::error_code none;
  if (!std::filesystem::is_directory(settings.data_dir, none)) return {};
  audit::Entry entry;
  entry.who = command.by.empty() ? account_name() : command.by;
  entry.what = command.reads ? audit::what_read : audit::what_command;
  entry.outcome = "begun";
  entry.target = fmt::format("trialwire {}", command.command);
  entry.why = command.why;
  entry.detail = command.detail;
  entry.origin = fmt::format("command of {}", account_name());
  stamp(entry);
  if (auto left = audit::leave_entry(settings.data_dir, entry); !left) {
    return fail(left.error().code,
                fmt::format("not done, for it cannot be audited: {}", left.error().text));
  }
  data_dir_ = settings.data_dir;
  entry_ = std::move(entry);
  return {};
}

CommandAudit::~CommandAudit() {
  if (data_dir_.empty()) return;
  try {
    entry_.outcome = done_ ? "done" : "failed";
    entry_.detail = fmt::format(R"({{"begun":"{}"}})", format_rfc3339_ms(entry_.at_ns));
    stamp(entry_);
    auto left = audit::leave_entry(data_dir_, entry_);
    if (left) return;
    fmt::print(stderr, "trialwire: what came of it cannot be audited: {}\n", left.error().text);
  } catch (const std::exception&) {  // without memory: the first entry is there
  }
}

}  // namespace trialwire
