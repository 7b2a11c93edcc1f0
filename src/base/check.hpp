// SPDX-License-Identifier: Apache-2.0
// Invariants. A broken one ends the process, in release builds too: to go on would risk
// acknowledging what is not stored.
#pragma once

namespace trialwire {

/// Writes one line to stderr without allocating, then aborts.
[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace trialwire

#define TW_CHECK(expression)           \
  (__builtin_expect(!!(expression), 1) \
       ? static_cast<void>(0)          \
       : ::trialwire::check_failed(#expression, __FILE__, __LINE__))
