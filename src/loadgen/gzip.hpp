// SPDX-License-Identifier: Apache-2.0
// gzip (RFC 1952) of whole texts in memory, for bodies and input files.
#pragma once
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace trialwire::loadgen {

std::string gzip(std::string_view text);

/// Every member of a gzip file, joined. `corrupt` when it is none or is cut off,
/// `payload_too_large` when more than `bytes_max` come out.
Result<std::string> gunzip(std::string_view packed, std::size_t bytes_max);

bool is_gzip(std::string_view bytes) noexcept;

}  // namespace trialwire::loadgen
