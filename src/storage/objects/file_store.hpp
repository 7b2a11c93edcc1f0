// SPDX-License-Identifier: Apache-2.0
// Objects as files below a directory: an object `a/b` is ROOT/a/b. For one machine, or a mounted
// file system that several share.
//
// Written under ROOT/.partial/, synced, renamed, the directory synced; directories that this makes
// are synced with their parents. Files are 0600, directories 0700. What a killed process left in
// .partial is deleted by the next one that writes: a live upload holds a lock on its file.
// A commit drops the file's pages from the cache, so that who reads it back reads the disk.
#pragma once
#include <filesystem>
#include <memory>

#include "storage/objects/object_store.hpp"

namespace trialwire::storage {

std::unique_ptr<ObjectStore> make_file_store(std::filesystem::path root);

}  // namespace trialwire::storage
