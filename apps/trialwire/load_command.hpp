// SPDX-License-Identifier: Apache-2.0
// `trialwire load`: the load client for people and for tests.
#pragma once
#include <CLI/CLI.hpp>

namespace trialwire {

/// Adds the subcommand. Run, it sets `exit_code`: 0 when every request was answered with 2xx, 1
/// when not, 2 when the run could not start.
void add_load_command(CLI::App& app, int& exit_code);

}  // namespace trialwire
