// SPDX-License-Identifier: Apache-2.0
// Zeros, a stretch at a time, for pre-writing segments and cutting off what is torn.
#pragma once
#include <cstdint>
#include <stop_token>

#include "base/error.hpp"
#include "journal/file_layer.hpp"

namespace trialwire::journal {

/// Of one write. Small, for a commit may stand behind it at the disk.
constexpr std::size_t zero_stretch_bytes = 256 << 10;

/// [from, to), multiples of a block; not synced. Error cancelled when `stop` is requested.
Result<void> zero_fill(File& file, std::uint64_t from, std::uint64_t to,
                       const std::stop_token& stop = {});

}  // namespace trialwire::journal
