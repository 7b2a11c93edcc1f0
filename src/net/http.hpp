// SPDX-License-Identifier: Apache-2.0
// A request as parsed (RFC 9110, RFC 9112): views into the bytes that were read.
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace trialwire::net {

using Status = std::uint16_t;

enum class Method : std::uint8_t { get, head, post, put, delete_, options, patch, other };

std::string_view name_of(Method method) noexcept;
/// Case-sensitive, as RFC 9110 has it; `other` when unknown.
Method method_of(std::string_view name) noexcept;
/// Reason phrase; "Unknown" for a code that this server never sends.
std::string_view reason_of(Status status) noexcept;
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

struct HeaderField {
  std::string_view name;   // as sent
  std::string_view value;  // without surrounding white space
};

/// Headers that the parser tags, so that looking one up does not search.
enum class KnownHeader : std::uint8_t {
  host,
  expect,
  connection,
  traceparent,
  content_type,
  authorization,
  content_length,
  idempotency_key,
  content_encoding,
  transfer_encoding,
  count_,
};

/// Which tagged header this name is, in any case; nullopt for all others.
std::optional<KnownHeader> known_header(std::string_view name) noexcept;

/// Place of the first header of each kind, counted from 1; 0 when absent.
using KnownHeaderIndex = std::array<std::uint8_t, static_cast<std::size_t>(KnownHeader::count_)>;

constexpr std::size_t request_headers_max = 100;
constexpr std::size_t path_params_max = 8;
/// Bytes readable (not part of the body) after a request's body: what simdjson needs.
constexpr std::size_t body_padding = 64;

struct PathParam {
  std::string_view name;
  std::string_view value;  // percent-decoded
};

struct Request {
  Method method = Method::other;
  std::string_view method_text;
  std::string_view path;    // percent-encoded as sent, without query
  std::string_view query;   // after '?', as sent
  std::string_view route;   // template of the matched route: for logs and metrics
  std::string_view origin;  // of its connection: "http 127.0.0.1:5123"
  std::span<const HeaderField> headers;
  std::span<const PathParam> params;
  std::string_view body;  // whole; followed by body_padding readable bytes
  std::uint32_t timeout_ms = std::numeric_limits<std::uint32_t>::max();  // the client waits so long
  bool keep_alive = true;
  bool whole = true;  // false: its body has not come yet
  /// Set by the parser; without it `header` searches.
  const KnownHeaderIndex* known = nullptr;

  /// First header of that name, any case; empty when absent.
  std::string_view header(std::string_view name) const noexcept;
  std::optional<std::string_view> param(std::string_view name) const noexcept;
};

/// Percent-decoded, with '+' as a space if asked. Malformed percent-encoding: nullopt.
std::optional<std::string> url_decode(std::string_view text, bool plus_is_space);

}  // namespace trialwire::net
