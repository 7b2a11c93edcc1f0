// SPDX-License-Identifier: Apache-2.0
// As much of an HTTP/1.1 response as a load client needs: status, length, body, whether the server
// closes. Not a general client: a response must carry Content-Length or have no body. Pure; the
// views point into the bytes given.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace trialwire::loadgen {

struct ParsedResponse {
  enum class State : std::uint8_t { complete, incomplete, malformed };
  State state = State::incomplete;
  bool closes = false;       // "Connection: close"
  int status = 0;            // 200..599 when complete
  std::size_t consumed = 0;  // bytes up to the end of this response, when complete
  std::string_view body;
};

/// The response at the start of `bytes`. Interim responses (1xx) before it are skipped. A head of
/// more than 16 KiB, a body of more than 16 MiB and a transfer coding are `malformed`.
ParsedResponse parse_response(std::string_view bytes) noexcept;

}  // namespace trialwire::loadgen
