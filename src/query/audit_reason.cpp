// SPDX-License-Identifier: Apache-2.0
#include "query/audit_reason.hpp"

#include <simdjson.h>

#include "ingest/json_text.hpp"

namespace trialwire::query {

std::string_view audit_reason(const net::Request& request, ingest::FieldErrors& errors) {
  using ingest::Rule;
  std::string_view reason;
  bool found = false;
  for (const net::HeaderField& header : request.headers) {
    if (!net::equal_ignoring_case(header.name, audit_reason_header)) continue;
    if (found) {
      errors.add(audit_reason_header, Rule::duplicate, "may be given once");
      return {};
    }
    found = true;
    reason = header.value;
  }
  if (reason.size() > audit_reason_bytes_max) {
    errors.add(audit_reason_header, Rule::length, "must be at most {} bytes",
               audit_reason_bytes_max);
  } else if (!simdjson::validate_utf8(reason) || ingest::has_control_character(reason)) {
    errors.add(audit_reason_header, Rule::encoding, "must be UTF-8 without control characters");
  } else {
    return reason;
  }
  return {};
}

}  // namespace trialwire::query
