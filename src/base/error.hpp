// SPDX-License-Identifier: Apache-2.0
// Errors as values. An Error is a closed code and a short text that never holds patient data;
// one table says what each code is to a client, to an operator and to a retry loop.
#pragma once
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace trialwire {

enum class ErrorCode : std::uint8_t {
  invalid_argument,
  unauthenticated,
  forbidden,
  not_found,
  method_not_allowed,
  request_timeout,
  conflict,
  payload_too_large,
  uri_too_long,
  unsupported_media_type,
  rate_limited,
  header_too_large,
  cancelled,
  internal,
  not_implemented,
  unavailable,
  overloaded,
  deadline_exceeded,
  disk_full,
  io,
  corrupt,
  count_,
};

struct ErrorTraits {
  std::string_view label;   // metric label and the "code" of a log line
  std::uint16_t http;       // status code
  std::string_view reason;  // HTTP reason phrase, RFC 9110
  std::uint8_t grpc;        // grpc-status
  bool retryable;           // may the same request succeed later, unchanged?
};

/// The one table from an error to what each protocol says of it.
const ErrorTraits& traits(ErrorCode code) noexcept;

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string text;
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorCode code, std::string text) {
  return std::unexpected(Error{code, std::move(text)});
}

/// "cannot open PATH: No such file or directory"; disk_full for ENOSPC and EDQUOT, else `io`.
Error errno_error(std::string_view what, int error_number);

}  // namespace trialwire
