// SPDX-License-Identifier: Apache-2.0
// An answer as a row of qol_answers. One mapper a sink; no row allocates once it is warm.
#pragma once
#include <memory>
#include <span>
#include <string_view>

#include "storage/row_mapper.hpp"

namespace trialwire::qol {

std::unique_ptr<storage::RowMapper> make_rows();

/// Names of the bits of AnswerFlag, by bit, as lists and events show them.
std::span<const std::string_view> flag_names() noexcept;

}  // namespace trialwire::qol
