// SPDX-License-Identifier: Apache-2.0
#include "settings_options.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "config/loader.hpp"

namespace trialwire {

std::shared_ptr<SettingsOptions> add_settings_options(CLI::App& command) {
  auto options = std::make_shared<SettingsOptions>();
  command.add_option("--config", options->file, "Settings file (YAML); none is needed")
      ->type_name("FILE")
      ->group("Settings");
  command
      .add_option("--set", options->assignments,
                  "One setting, over those of the file; any number of times")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all()
      ->group("Settings");
  return options;
}

std::optional<config::Settings> load_settings(const SettingsOptions& options) {
  config::Sources sources;
  if (!options.file.empty()) sources.file = options.file;
  sources.assignments = options.assignments;
  auto settings = config::load(sources);
  if (settings) return std::move(*settings);
  for (const config::Problem& problem : settings.error()) {
    fmt::print(stderr, "trialwire: {}\n", problem.text());
  }
  return std::nullopt;
}

}  // namespace trialwire
