// SPDX-License-Identifier: Apache-2.0
#include "ingest/request_head.hpp"

#include <algorithm>
#include <utility>

#include "telemetry/trace/trace_context.hpp"

namespace trialwire::ingest {
namespace {

using net::KnownHeader;

constexpr std::size_t idempotency_key_bytes_max = 255;  // what the journal's attributes can hold

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

bool same(std::string_view text, std::string_view lower_case) noexcept {
  if (text == lower_case) return true;  // as nearly all write it
  return text.size() == lower_case.size() &&
         std::equal(text.begin(), text.end(), lower_case.begin(),
                    [](char a, char b) { return lower(a) == b; });
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// The part before the first ';', which is removed from `rest` with it.
std::string_view next_part(std::string_view& rest) noexcept {
  std::size_t end = std::min(rest.find(';'), rest.size());
  std::string_view part = trim(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

bool read_content_type(std::string_view value, MediaType& out) noexcept {
  if (value == "application/json") {
    out = MediaType::json;
    return true;
  }
  std::string_view type = next_part(value);
  if (same(type, "application/json")) {
    out = MediaType::json;
  } else if (same(type, "application/x-ndjson")) {
    out = MediaType::ndjson;
  } else {
    return false;
  }
  while (!value.empty()) {
    std::string_view parameter = next_part(value);
    std::size_t equals = parameter.find('=');
    if (equals == std::string_view::npos || !same(parameter.substr(0, equals), "charset")) continue;
    std::string_view charset = parameter.substr(equals + 1);
    if (charset.size() >= 2 && charset.front() == '"' && charset.back() == '"') {
      charset = charset.substr(1, charset.size() - 2);
    }
    if (!same(charset, "utf-8")) return false;
  }
  return true;
}

bool valid_key(std::string_view key) noexcept {
  return key.size() <= idempotency_key_bytes_max &&
         std::ranges::all_of(key, [](char c) { return c >= 0x20 && c < 0x7f; });
}

constexpr Refusal wrong_type{ErrorCode::unsupported_media_type, "Content-Type", Rule::format,
                             "must be application/json or application/x-ndjson, in UTF-8"};
constexpr Refusal repeated_type{ErrorCode::invalid_argument, "Content-Type", Rule::duplicate,
                                "may be given once"};
constexpr Refusal wrong_encoding{ErrorCode::unsupported_media_type, "Content-Encoding",
                                 Rule::format, "must be gzip, or absent", "gzip"};
constexpr Refusal wrong_key{ErrorCode::invalid_argument, "Idempotency-Key", Rule::format,
                            "must be one of at most 255 printable ASCII characters"};

}  // namespace

std::expected<RequestHead, Refusal> read_request_head(const net::Request& request) noexcept {
  RequestHead head;
  bool typed = false;
  bool traced = false;
  bool encoded = false;
  for (const net::HeaderField& header : request.headers) {
    auto known = net::known_header(header.name);
    if (!known) continue;
    switch (*known) {
      case KnownHeader::traceparent:
        // Of two it is not known whose they are.
        if (!std::exchange(traced, true) && telemetry::parse_traceparent(header.value)) {
          head.traceparent = header.value;
        } else {
          head.traceparent = {};
        }
        break;
      case KnownHeader::content_type:
        // Which of two is meant is a guess, and someone on the way may have guessed otherwise.
        if (typed) return std::unexpected(repeated_type);
        typed = true;
        if (!header.value.empty() && !read_content_type(header.value, head.media_type)) {
          return std::unexpected(wrong_type);
        }
        break;
      case KnownHeader::idempotency_key:
        if (!valid_key(header.value) || !head.idempotency_key.empty()) {
          return std::unexpected(wrong_key);
        }
        head.idempotency_key = header.value;
        break;
      case KnownHeader::content_encoding:
        if (same(header.value, "identity")) break;
        head.gzip = same(header.value, "gzip") || same(header.value, "x-gzip");
        // Two encodings, one over the other, are as unknown as one that is.
        if (!head.gzip || encoded) return std::unexpected(wrong_encoding);
        encoded = true;
        break;
      default:
        break;
    }
  }
  return head;
}

}  // namespace trialwire::ingest
