// SPDX-License-Identifier: Apache-2.0
#include "journal/zero_fill.hpp"

#include <algorithm>

namespace trialwire::journal {
namespace {
alignas(block_bytes) const std::byte zeros[zero_stretch_bytes]{};
}  // namespace

Result<void> zero_fill(File& file, std::uint64_t from, std::uint64_t to,
                       const std::stop_token& stop) {
  while (from < to) {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "stopping");
    const std::size_t some = std::min<std::uint64_t>(zero_stretch_bytes, to - from);
    if (Result<void> written = file.write_at(from, {zeros, some}); !written) return written;
    from += some;
  }
  return {};
}

}  // namespace trialwire::journal
