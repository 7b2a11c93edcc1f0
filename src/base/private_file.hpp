// SPDX-License-Identifier: Apache-2.0
// Files that hold what decides who gets in.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>

#include "base/error.hpp"

namespace trialwire {

enum class FileAccess : unsigned char {
  secret,  // nobody but its owner may read or write it: mode 0600 or less
  trusted  // nobody but its owner and group may write it
};

/// The bytes of a regular file of at most `bytes_max`. Errors name the file, never its content:
/// forbidden (its mode), payload_too_large, io. What is checked is what is read: one open file.
Result<std::string> read_guarded_file(const std::filesystem::path& path, FileAccess access,
                                      std::size_t bytes_max);

}  // namespace trialwire
