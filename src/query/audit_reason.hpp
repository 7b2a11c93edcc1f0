// SPDX-License-Identifier: Apache-2.0
// Why somebody asks, in their own words: the header X-Audit-Reason.
#pragma once
#include <string_view>

#include "ingest/field_errors.hpp"
#include "net/http.hpp"

namespace trialwire::query {

constexpr std::string_view audit_reason_header = "X-Audit-Reason";
constexpr std::size_t audit_reason_bytes_max = 255;

/// Empty when there is none. One that is given twice, is longer than `audit_reason_bytes_max`, is
/// not UTF-8 or has control characters is added to `errors`.
std::string_view audit_reason(const net::Request& request, ingest::FieldErrors& errors);

}  // namespace trialwire::query
