// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>
#include <string>

#include <fmt/format.h>

#include "allocation_hooks.hpp"
#include "commands.hpp"
#include "exit_code.hpp"
#include "version.hpp"

namespace {

using namespace trialwire;

/// The word in the place of a subcommand that is none; empty: there is no such word.
std::string unknown_subcommand(const CLI::App& app, int argc, char** argv) {
  const CLI::App* at = &app;
  for (int i = 1; i < argc && *argv[i] != '-'; ++i) {
    auto all = at->get_subcommands([](const CLI::App*) { return true; });
    if (all.empty()) break;
    auto chosen =
        std::ranges::find(all, argv[i], [](const CLI::App* one) { return one->get_name(); });
    if (chosen == all.end()) return argv[i];
    at = *chosen;
  }
  return {};
}

int run(int argc, char** argv) {
  int exit_code = exit_ok;
  CLI::App app{
      "The back end that clinical trials report into: reports are on disk before they are\n"
      "acknowledged, and flow on to SQL, where they can be queried.",
      "trialwire"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(product_version()));
  app.footer(
      "Each subcommand explains itself: trialwire serve --help\n\n"
      "Examples:\n"
      "  trialwire serve\n"
      "  trialwire serve --set data_dir=/var/lib/trialwire --set http.listen=127.0.0.1:9000\n"
      "  trialwire journal verify\n\n"
      "Exit codes: 0 done, 1 failed or something is wrong, 2 wrong command line or settings,\n"
      "70 the disk failed while serving.");
  add_serve_command(app, exit_code);
  add_load_command(app, exit_code);
  add_journal_command(app, exit_code);
  add_audit_command(app, exit_code);
  add_db_command(app, exit_code);
  add_archive_command(app, exit_code);
  add_replay_command(app, exit_code);
  add_status_command(app, exit_code);
  add_deadletter_command(app, exit_code);
  add_discovery_command(app, exit_code);
  add_token_command(app, exit_code);
  add_config_command(app, exit_code);
  add_version_command(app, exit_code);
  if (auto word = unknown_subcommand(app, argc, argv); !word.empty()) {
    fmt::print(stderr, "trialwire: {} is no subcommand\nRun with --help for those there are.\n",
               word);
    return exit_usage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_ok : exit_usage;
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
#ifdef TRIALWIRE_ALLOCATION_HOOKS
  trialwire::use_allocation_hooks();
#endif
  try {
    return run(argc, argv);
  } catch (const std::exception& exception) {
    fmt::print(stderr, "trialwire: {}\n", exception.what());
    return trialwire::exit_failed;
  }
}
