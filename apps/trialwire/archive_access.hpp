// SPDX-License-Identifier: Apache-2.0
// How subcommands find the archive of the settings, and which journal's part of it is meant.
#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/uuid.hpp"
#include "config/settings.hpp"
#include "storage/objects/object_store.hpp"

namespace trialwire {

/// Error invalid_argument: archive.url is empty.
Result<std::unique_ptr<storage::ObjectStore>> open_archive(const config::Settings& settings);

/// `given` when it is not empty; else that of data_dir's journal when the archive has it, or the
/// only one there. Errors name those that there are: not_found, invalid_argument.
Result<Uuid> choose_journal(storage::ObjectStore& store, const config::Settings& settings,
                            const std::string& given);

std::filesystem::path journal_directory(const config::Settings& settings);

}  // namespace trialwire
