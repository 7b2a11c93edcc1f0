// SPDX-License-Identifier: Apache-2.0
#include <exception>

#include <fmt/format.h>

#include "commands.hpp"
#include "exit_code.hpp"
#include "version.hpp"

namespace {

int run(int argc, char** argv) {
  using namespace trialwire;
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
  add_config_command(app, exit_code);
  add_version_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_ok : exit_usage;
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& exception) {
    fmt::print(stderr, "trialwire: {}\n", exception.what());
    return trialwire::exit_failed;
  }
}
