// SPDX-License-Identifier: Apache-2.0
// What `trialwire db` prints.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "storage/sql/store.hpp"

namespace trialwire {

std::string migrated_text(std::string_view where, std::int64_t from, std::int64_t to);
std::string store_status_text(std::string_view where, const storage::StoreStatus& status);
/// One line.
std::string store_status_json(std::string_view where, const storage::StoreStatus& status);

}  // namespace trialwire
