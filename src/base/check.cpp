// SPDX-License-Identifier: Apache-2.0
#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace trialwire {

void check_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "trialwire: broken invariant: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace trialwire
