// SPDX-License-Identifier: Apache-2.0
// A patient's report as a row of epro_reports. One mapper a sink; no row allocates once it is warm.
#pragma once
#include <memory>
#include <span>
#include <string_view>

#include "storage/row_mapper.hpp"

namespace trialwire::epro {

std::unique_ptr<storage::RowMapper> make_report_rows();

/// Names of the bits of ReportFlag, by bit, as lists and events show them.
std::span<const std::string_view> report_flag_names() noexcept;

}  // namespace trialwire::epro
