// SPDX-License-Identifier: Apache-2.0
#include "ingest/stored_reader.hpp"

#include <fmt/format.h>
#include <simdjson.h>

namespace trialwire::ingest {

Result<void> StoredReader::begin(const journal::Record& record, std::string_view what) {
  if (record.attributes.content_type != journal::ContentType::json) {
    return fail(ErrorCode::corrupt, fmt::format("a stored {} is not JSON", what));
  }
  if (!simdjson::validate_utf8(as_text(record.bytes))) {
    return fail(ErrorCode::corrupt, fmt::format("a stored {} is not UTF-8", what));
  }
  scratch_.begin();
  errors_.clear();
  return {};
}

Result<void> StoredReader::verdict(bool well_formed, JsonReader& reader, std::string_view what) {
  if (!well_formed || !reader.at_end()) {
    return fail(ErrorCode::corrupt, fmt::format("a stored {} is not valid JSON: {} at byte {}",
                                                what, describe(reader.fault()), reader.offset()));
  }
  if (errors_.empty()) return {};
  std::string reason;
  errors_.append_summary(reason);
  return fail(ErrorCode::corrupt, fmt::format("a stored {} is not valid: {}", what, reason));
}

}  // namespace trialwire::ingest
