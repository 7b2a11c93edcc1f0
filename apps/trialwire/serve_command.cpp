// SPDX-License-Identifier: Apache-2.0
#include "commands.hpp"
#include "exit_code.hpp"
#include "serve.hpp"
#include "settings_options.hpp"

namespace trialwire {

void add_serve_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("serve", "Take reports in, store them, answer queries");
  command->footer(
      "Runs until SIGTERM or SIGINT, then finishes what it accepted (runtime.drain, 5.5s); a\n"
      "second signal ends it at once. Nothing acknowledged is lost either way.\n\n"
      "Needs no settings: HTTP on 127.0.0.1:8080, operators on 127.0.0.1:6060, data in ./data.\n"
      "Which addresses listen is in the log and in data_dir/run/ports.json while it serves; "
      "either\n"
      "signal removes it, kill -9 does not.\n"
      "Every setting is explained by: trialwire config reference\n\n"
      "Examples:\n"
      "  trialwire serve\n"
      "  trialwire serve --config trialwire.yaml --set log.format=json\n"
      "  trialwire serve --set http.listen=127.0.0.1:0 --set admin.listen=\n\n"
      "Exit codes:\n"
      "  0   stopped by a signal\n"
      "  1   could not start (port taken, directory in use or not writable, journal damaged), or\n"
      "      what was accepted could not be committed within runtime.drain and 3s\n"
      "  2   wrong command line or settings\n"
      "  70  the journal's disk failed: nothing more was acknowledged");
  auto options = add_settings_options(*command);
  command->callback([options, &exit_code] {
    auto settings = load_settings(*options);
    exit_code = settings ? serve(*settings, journal::posix_files()) : exit_usage;
  });
}

}  // namespace trialwire
