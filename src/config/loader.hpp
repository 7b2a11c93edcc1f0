// SPDX-License-Identifier: Apache-2.0
// Settings from a YAML file and from `--set` assignments over it, in that order. Everything wrong
// is reported at once; nothing is taken half. The environment is not read.
#pragma once
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"

namespace trialwire::config {

struct Sources {
  std::optional<std::filesystem::path> file;
  std::vector<std::string> assignments;  // "journal.segment_bytes=256MiB"; the last one wins
};

struct Problem {
  std::string where;   // "trialwire.yaml:12", "--set", or empty when it is about several
  std::string path;    // "journal.sync"; empty when it is about the whole file
  std::string reason;  // "must be one of always, none"
  /// "trialwire.yaml:12: journal.sync: must be one of always, none"
  std::string text() const;
};

using Loaded = std::expected<Settings, std::vector<Problem>>;

/// Reads, then checks what settings mean together (`check`).
Loaded load(const Sources& sources);

/// The same from text; `name` stands in for the file's.
Loaded load_text(std::string_view yaml, std::string_view name,
                 const std::vector<std::string>& assignments = {});

/// What no single setting shows: ratios of sizes, unsafe or insecure combinations.
std::vector<Problem> check(const Settings& settings);

/// The known setting or section that `path` most likely meant.
std::string_view nearest_path(std::string_view path);

}  // namespace trialwire::config
