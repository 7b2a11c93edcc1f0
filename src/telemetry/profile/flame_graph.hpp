// SPDX-License-Identifier: Apache-2.0
// A flame graph as one SVG file that a browser draws without anything else: a box a function, as
// wide as its share of all samples, on the box of what called it; below all, threads. A click
// widens a box to the whole width, a click on the lowest one shows all again. The script is within;
// without scripts the picture is whole.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/profile/profile.hpp"
#include "telemetry/profile/symbols.hpp"

namespace trialwire::telemetry {

/// A stack with names in place of addresses, the outermost first.
struct NamedStack {
  std::vector<std::string> names;
  std::int64_t samples = 0;
};

std::vector<NamedStack> named_stacks(const Profile& profile, Symbols& symbols);

struct FlameGraphOptions {
  std::string title;
  std::string subtitle;
  std::size_t boxes_max = 5'000;  // the widest ones
  std::size_t levels_max = 128;
};

/// Any text in it is escaped. What is narrower than a thousandth of the whole is left out, as are
/// boxes beyond `boxes_max`; the subtitle says nothing of it, the box below keeps its width.
std::string flame_graph_svg(const std::vector<NamedStack>& stacks,
                            const FlameGraphOptions& options);

}  // namespace trialwire::telemetry
