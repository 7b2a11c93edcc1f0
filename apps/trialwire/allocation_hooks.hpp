// SPDX-License-Identifier: Apache-2.0
// The program's malloc and operator new: the C library's, and a look whether allocations are
// sampled (telemetry/profile/heap_sampler.hpp). Of the program alone, not of tests; a build with a
// sanitizer, which brings its own, has none.
#pragma once

namespace trialwire {

/// Says that allocations come by here. Without the call the linker would still use them.
void use_allocation_hooks() noexcept;

}  // namespace trialwire
