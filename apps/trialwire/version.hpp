// SPDX-License-Identifier: Apache-2.0
// What was built, from what: for `version`, the start of the log and trialwire_build_info.
#pragma once
#include <string>
#include <string_view>

namespace trialwire {

struct Library {
  std::string_view name;
  std::string version;
};

std::string_view product_version() noexcept;
std::string compiler_version();
/// simdjson's implementation for this processor: "haswell", "icelake", "westmere" or "fallback".
std::string simdjson_implementation();

/// "trialwire 0.1.0", and a line for the compiler and each library.
std::string version_text();

}  // namespace trialwire
