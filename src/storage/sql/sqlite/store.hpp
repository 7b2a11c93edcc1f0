// SPDX-License-Identifier: Apache-2.0
// The SQLite file as a Store: "sqlite:PATH". Its sink has one lane: a file has one writer.
#pragma once
#include <filesystem>
#include <memory>
#include <string_view>

#include "storage/sql/store.hpp"

namespace trialwire::storage::sqlite {

/// "sqlite:data/x.db" → DATA_DIR/x.db; "sqlite:/srv/x.db" and "sqlite:x.db" as they are.
std::filesystem::path path_of(std::string_view url, const std::filesystem::path& data_dir);

Result<std::unique_ptr<Store>> open_store(const StoreOptions& options);

}  // namespace trialwire::storage::sqlite
