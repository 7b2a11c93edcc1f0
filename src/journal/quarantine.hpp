// SPDX-License-Identifier: Apache-2.0
// The directory beside the segments for what is taken out of the journal. Nothing reads it again;
// what a repair moves there stays, of torn tails the newest do.
#pragma once
#include <filesystem>
#include <string>

#include "base/error.hpp"
#include "journal/file_layer.hpp"
#include "journal/inspection.hpp"

namespace trialwire::journal {

/// [from, to) of a file, in whole blocks.
struct Stretch {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

/// To `at` of the other file, 1 MiB at a time.
Result<void> copy_stretch(File& from, const Stretch& stretch, File& to, std::uint64_t at);

/// A path in quarantine/, which is there already, that nothing has: that name, or with ".1", ".2" …
Result<std::filesystem::path> free_in_quarantine(FileLayer& files,
                                                 const std::filesystem::path& directory,
                                                 const std::string& name);

/// A copy of a torn tail, durable when its path is returned. Older ones go, so that all of them
/// are no longer than `bytes_max` together.
Result<std::filesystem::path> keep_torn(FileLayer& files, const std::filesystem::path& directory,
                                        const BatchExtent& torn, std::uint64_t bytes_max);

}  // namespace trialwire::journal
