// SPDX-License-Identifier: Apache-2.0
// The server, from settings to exit code: the one place that knows every part.
#pragma once
#include "config/settings.hpp"

namespace trialwire {

/// Serves until SIGTERM or SIGINT; returns the process's exit code. When it cannot start, one line
/// says why and nothing was touched.
int serve(const config::Settings& settings);

}  // namespace trialwire
