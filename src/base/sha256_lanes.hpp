// SPDX-License-Identifier: Apache-2.0
// SHA-256 of sixteen texts at once, a lane of AVX-512 each, without the SHA instructions. Where the
// unit for those is slow, as on Intel's, this is twice as fast; where it is not, it may be slower:
// sha256_leaves.hpp measures and chooses.
#pragma once
#include <array>
#include <cstddef>

#include "base/hash.hpp"

namespace trialwire {

constexpr std::size_t sha256_lanes = 16;

/// Can this processor, and the operating system, do it?
bool sha256_lanes_available() noexcept;

/// The digests of sixteen texts of `bytes` bytes each, which is a multiple of 64. Only to be called
/// where it is available.
void sha256_of_lanes(const std::array<const std::byte*, sha256_lanes>& texts, std::size_t bytes,
                     std::array<Sha256, sha256_lanes>& digests) noexcept;

}  // namespace trialwire
