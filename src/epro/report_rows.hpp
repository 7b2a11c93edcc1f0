// SPDX-License-Identifier: Apache-2.0
// A patient's report as a row of epro_reports. One mapper a sink; no row allocates once it is warm.
#pragma once
#include <array>
#include <memory>
#include <string>

#include "storage/row_mapper.hpp"

namespace trialwire::epro {

std::unique_ptr<storage::RowMapper> make_report_rows();

/// Names of the bits of ReportFlag, by bit, as lists show them.
std::array<std::string, 8> report_flag_names();

}  // namespace trialwire::epro
