// SPDX-License-Identifier: Apache-2.0
// SHA-256 of two texts at once. A round of SHA-256 waits for the one before it; the rounds of a
// second text fit into that time. Falls back to one after the other where the processor has no
// instructions for it. Any thread; no memory beyond the stack.
#pragma once
#include <array>

#include "base/bytes.hpp"
#include "base/hash.hpp"

namespace trialwire {

Sha256 sha256(ByteView text);
std::array<Sha256, 2> sha256_pair(ByteView first, ByteView second);

}  // namespace trialwire
