// SPDX-License-Identifier: Apache-2.0
// The server, from settings to exit code: the one place that knows every part.
#pragma once
#include "config/settings.hpp"
#include "journal/file_layer.hpp"

namespace trialwire {

/// Serves until SIGTERM or SIGINT; returns the process's exit code. When it cannot start, one line
/// says why and nothing was touched. `files` is the disk of the journal.
int serve(const config::Settings& settings, journal::FileLayer& files);

}  // namespace trialwire
