// SPDX-License-Identifier: Apache-2.0
// MySQL and MariaDB as a Store: mysql://user:password@host:port/database?ssl=…, as
// server_address.hpp says. MariaDB from 10.10, MySQL from 8.0.
#pragma once
#include <memory>

#include "storage/sql/store.hpp"

namespace trialwire::storage::mysql {

/// Errors: invalid_argument, for a URL that is none.
Result<std::unique_ptr<Store>> open_store(const StoreOptions& options);

}  // namespace trialwire::storage::mysql
