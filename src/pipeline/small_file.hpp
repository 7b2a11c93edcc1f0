// SPDX-License-Identifier: Apache-2.0
// Files of a few lines that lanes keep beside their cursors: read whole, replaced whole.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "journal/file_layer.hpp"

namespace trialwire::pipeline {

bool is_there(const std::filesystem::path& file, journal::FileLayer& files);

/// At most 64 KiB. Errors: those of the file layer.
Result<std::string> read_whole(const std::filesystem::path& path, journal::FileLayer& files);

/// Atomically, and durable when it returns; its directory is made when missing. Errors: those of
/// the file layer; what was there before is there still.
Result<void> write_whole(const std::filesystem::path& path, std::string_view text,
                         journal::FileLayer& files);

}  // namespace trialwire::pipeline
