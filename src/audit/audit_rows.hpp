// SPDX-License-Identifier: Apache-2.0
// An entry of the audit trail as a row of audit_records. One mapper a sink.
#pragma once
#include <memory>

#include "storage/row_mapper.hpp"

namespace trialwire::audit {

std::unique_ptr<storage::RowMapper> make_rows();

}  // namespace trialwire::audit
