// SPDX-License-Identifier: Apache-2.0
// The settings of the last start, in DATA_DIR/audit/settings, so that a start can say what is
// different: a JSON object, values as `config print` shows them, secrets masked.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "config/settings.hpp"

namespace trialwire {

using ShownSettings = std::map<std::string, std::string>;

ShownSettings shown_settings(const config::Settings& settings);

/// Those that are not the same in both, as two JSON objects; empty: all are.
struct SettingsDifference {
  std::string before;
  std::string after;
};
SettingsDifference difference(const ShownSettings& before, const ShownSettings& after);

class SettingsMemory {
 public:
  explicit SettingsMemory(const std::filesystem::path& data_dir);
  /// None: there was no start before, or what is there is no such object. Errors: io.
  Result<std::optional<ShownSettings>> recall() const;
  /// Atomically, 0600. Errors: io, disk_full.
  Result<void> keep(const ShownSettings& settings) const;

 private:
  std::filesystem::path file_;
};

}  // namespace trialwire
