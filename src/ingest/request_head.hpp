// SPDX-License-Identifier: Apache-2.0
// What the headers of an intake request say. Plain functions; views borrow from the request.
#pragma once
#include <cstdint>
#include <expected>
#include <string_view>

#include "base/error.hpp"
#include "ingest/field_errors.hpp"
#include "net/http.hpp"

namespace trialwire::ingest {

enum class MediaType : std::uint8_t { json, ndjson };

struct RequestHead {
  MediaType media_type = MediaType::json;
  bool gzip = false;
  std::string_view idempotency_key;  // empty: none
  std::string_view traceparent;      // empty: none, more than one, or not in W3C form
};

/// A request that is refused as a whole. All text is static.
struct Refusal {
  ErrorCode code = ErrorCode::invalid_argument;
  std::string_view field;
  Rule rule = Rule::format;
  std::string_view message;
  std::string_view accepted_encodings;  // told as Accept-Encoding (RFC 9110, 15.5.16); empty: not
};

/// Content-Type once, application/json (also when absent) or application/x-ndjson, charset utf-8;
/// Content-Encoding gzip or none; Idempotency-Key of at most 255 printable ASCII characters.
std::expected<RequestHead, Refusal> read_request_head(const net::Request& request) noexcept;

}  // namespace trialwire::ingest
