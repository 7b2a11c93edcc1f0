// SPDX-License-Identifier: Apache-2.0
// docs/schema.md, made of the tables' description and of the migrations.
#pragma once
#include <string>

namespace trialwire::storage {

/// Every table with type and meaning of each column, and the statements of each migration.
std::string schema_markdown();

}  // namespace trialwire::storage
