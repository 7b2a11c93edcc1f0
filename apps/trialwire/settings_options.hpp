// SPDX-License-Identifier: Apache-2.0
// --config and --set, which every subcommand takes.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "config/settings.hpp"

namespace trialwire {

struct SettingsOptions {
  std::string file;
  std::vector<std::string> assignments;
};

/// Declares both. The result is filled by parsing and lives as long as whoever keeps it: the
/// subcommand's callback.
std::shared_ptr<SettingsOptions> add_settings_options(CLI::App& command);

/// The effective settings; or nothing, after one line on stderr for each thing that is wrong.
std::optional<config::Settings> load_settings(const SettingsOptions& options);

}  // namespace trialwire
