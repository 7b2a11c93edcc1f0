// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <limits>

#include <CLI/CLI.hpp>

namespace trialwire {

/// What an option that is a sequence may be: signed, so that -1 is refused and does not wrap
/// around.
inline CLI::Range sequence_range() {
  return {std::int64_t{0}, std::numeric_limits<std::int64_t>::max()};
}

}  // namespace trialwire
