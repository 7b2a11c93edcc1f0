// SPDX-License-Identifier: Apache-2.0
// Whether this account can make files in a directory, found out by making one that has no name: the
// rights that are shown do not tell (a read-only mount, /proc, a root that may not). Nothing is
// left.
#pragma once
#include <filesystem>

#include "base/error.hpp"

namespace trialwire::storage {

/// True: in it. False: it is not there, and can be made. Errors: io, disk_full; the text names the
/// directory that is in the way and the reason.
Result<bool> check_directory(const std::filesystem::path& directory);

}  // namespace trialwire::storage
