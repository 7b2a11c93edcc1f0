// SPDX-License-Identifier: Apache-2.0
// Where a sink is whose destination cannot keep its cursor in the transaction of the records: one
// small file of one line with its checksum,
//
//   trialwire cursor 1 journal=6f1c9e52-0d7a-4b6e-9a53-4f0f5f6d8a10 next=812 crc32c=0c3f7a91
//
// replaced whole: temporary file, sync, rename, sync of the directory. A crash leaves the one or
// the other, both of which were true once: what is repeated is what came after the older one.
//
// Owned by one sink, used by its thread. Durable when `store` returned without error.
#pragma once
#include <filesystem>
#include <optional>

#include "base/error.hpp"
#include "journal/file_layer.hpp"
#include "journal/reader.hpp"

namespace trialwire::storage::kafka {

class CursorFile {
 public:
  /// `files` outlives it. The directory is made when the first cursor is stored.
  CursorFile(journal::FileLayer& files, std::filesystem::path path);

  /// None: nothing was stored yet. Errors: corrupt (no cursor's line, its checksum), io.
  Result<std::optional<journal::Cursor>> load();
  Result<void> store(const journal::Cursor& cursor);
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  journal::FileLayer& files_;
  std::filesystem::path path_;
  bool directory_made_ = false;
};

}  // namespace trialwire::storage::kafka
