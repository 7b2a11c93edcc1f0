// SPDX-License-Identifier: Apache-2.0
// The schema as numbered steps, applied by the writer when it opens the file: all that are missing
// in one transaction, so that a crash leaves the old schema or the new one. A step that was
// released is never changed.
#pragma once
#include <cstdint>

#include "base/error.hpp"
#include "storage/sql/sqlite/database.hpp"

namespace trialwire::storage::sqlite {

/// Number of the newest step.
std::int64_t newest_migration() noexcept;

/// Errors: those of the database; internal, when the file's schema is newer than this program.
Result<void> migrate(Database& database);

}  // namespace trialwire::storage::sqlite
