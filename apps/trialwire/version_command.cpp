// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <simdjson.h>
#include <sqlite3.h>
#include <boost/version.hpp>

#include "commands.hpp"
#include "exit_code.hpp"
#include "settings_options.hpp"
#include "version.hpp"

namespace trialwire {

std::string_view product_version() noexcept {
  return TRIALWIRE_VERSION;
}

std::string compiler_version() {
  return __VERSION__;
}

std::string simdjson_implementation() {
  return simdjson::get_active_implementation()->name();
}

std::string version_text() {
  return fmt::format(
      "trialwire {}\n"
      "  compiler  {}\n"
      "  boost     {}.{}.{}\n"
      "  simdjson  {} ({})\n"
      "  openssl   {}\n"
      "  sqlite    {}\n",
      product_version(), compiler_version(), BOOST_VERSION / 100'000, BOOST_VERSION / 100 % 1'000,
      BOOST_VERSION % 100, SIMDJSON_STRINGIFY(SIMDJSON_VERSION), simdjson_implementation(),
      OpenSSL_version(OPENSSL_VERSION_STRING), sqlite3_libversion());
}

void add_version_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("version", "Say what this is and what it was built with");
  command->footer(
      "Settings that are given are checked and otherwise not used.\n\n"
      "Example:\n"
      "  trialwire version\n\n"
      "Exit codes: 0 done, 2 wrong command line or settings.");
  auto options = add_settings_options(*command);
  command->callback([options, &exit_code] {
    if (!load_settings(*options)) {
      exit_code = exit_usage;
      return;
    }
    fmt::print("{}", version_text());
  });
}

}  // namespace trialwire
