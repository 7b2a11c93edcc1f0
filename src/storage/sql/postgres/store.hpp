// SPDX-License-Identifier: Apache-2.0
// PostgreSQL as a Store: postgres://user:password@host:port/database?sslmode=…, as libpq reads it.
#pragma once
#include <memory>

#include "storage/sql/store.hpp"

namespace trialwire::storage::postgres {

/// Errors: invalid_argument, for a URL that is none.
Result<std::unique_ptr<Store>> open_store(const StoreOptions& options);

}  // namespace trialwire::storage::postgres
