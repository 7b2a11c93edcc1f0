// SPDX-License-Identifier: Apache-2.0
// `trialwire config check | print | reference`.
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "commands.hpp"
#include "config/pages.hpp"
#include "connect_check.hpp"
#include "exit_code.hpp"
#include "settings_options.hpp"

namespace trialwire {
namespace {

constexpr const char* exit_codes = "Exit codes: 0 the settings are good, 2 they are not.";

/// A subcommand that needs good settings and prints what `page` makes of them.
template <typename Page>
void add_page_command(CLI::App& config, int& exit_code, const char* name, const char* description,
                      const char* footer, Page page) {
  CLI::App* command = config.add_subcommand(name, description);
  command->footer(std::string(footer) + "\n\n" + exit_codes);
  auto options = add_settings_options(*command);
  command->callback([options, page, &exit_code] {
    auto settings = load_settings(*options);
    if (settings) {
      fmt::print("{}", page(*settings));
    } else {
      exit_code = exit_usage;
    }
  });
}

int run_check(const config::Settings& settings, bool connect) {
  if (!connect) {
    fmt::print("ok\n");
    return exit_ok;
  }
  bool all = true;
  for (const ConnectFinding& finding : connect_check(settings)) {
    all = all && finding.ok;
    fmt::print(finding.ok ? stdout : stderr, "{}{}: {}\n",
               finding.ok ? "" : "trialwire: ", finding.what, finding.detail);
  }
  if (all) fmt::print("ok\n");
  return all ? exit_ok : exit_failed;
}

void add_check(CLI::App& config, int& exit_code) {
  CLI::App* command = config.add_subcommand("check", "Validate settings without starting anything");
  command->footer(
      "Says ok, or one line on stderr for each thing that is wrong: where it stands, the setting,\n"
      "what was expected. An unknown setting comes with the nearest known one. Whether addresses\n"
      "are free shows when serving.\n\n"
      "With --connect every server that the settings name is asked as well: which host, and why "
      "it\n"
      "does not take this program in; and whether the directories of an SQLite file and of the\n"
      "archive can be written. Nothing is changed there.\n\n"
      "Examples:\n"
      "  trialwire config check --config trialwire.yaml\n"
      "  trialwire config check --connect --set store.url=postgres://gateway:secret@db/trials\n\n"
      "Exit codes:\n"
      "  0  the settings are good, and with --connect every server answers\n"
      "  1  a server does not, or a directory cannot be written\n"
      "  2  the settings are not good");
  auto options = add_settings_options(*command);
  auto connect = std::make_shared<bool>(false);
  command->add_flag("--connect", *connect, "Ask the servers that the settings name as well");
  command->callback([options, connect, &exit_code] {
    auto settings = load_settings(*options);
    exit_code = settings ? run_check(*settings, *connect) : static_cast<int>(exit_usage);
  });
}

}  // namespace

void add_config_command(CLI::App& app, int& exit_code) {
  CLI::App* config = app.add_subcommand("config", "Check, show and explain settings");
  config->require_subcommand(1);
  config->footer(
      "Settings come from built-in defaults, then --config FILE, then each --set in order.\n"
      "The environment is not read.\n\n"
      "Examples:\n"
      "  trialwire config check --config trialwire.yaml\n"
      "  trialwire config print --set journal.segment_bytes=64MiB\n"
      "  trialwire config reference > settings.md");
  add_check(*config, exit_code);
  add_page_command(*config, exit_code, "print",
                   "Print the effective settings as YAML, secrets masked",
                   "What is printed can be used as a file again, but for masked secrets (***).\n\n"
                   "Example:\n"
                   "  trialwire config print --config trialwire.yaml --set log.level=debug",
                   [](const config::Settings& settings) { return config::print_yaml(settings); });
  add_page_command(
      *config, exit_code, "reference", "Print the page that explains every setting, as Markdown",
      "Default, range and meaning of every setting: docs/settings.md of this version.\n\n"
      "Example:\n"
      "  trialwire config reference > docs/settings.md",
      [](const config::Settings&) { return config::reference_markdown(); });
}

}  // namespace trialwire
