// SPDX-License-Identifier: Apache-2.0
// Writes responses into a connection's output buffer.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "net/http.hpp"

namespace trialwire::net {

/// One response: `start`, any `header`, then `body` or `finish`. Content-Length, Date and
/// Connection are added by the writer; HEAD requests get the header alone. Warm, nothing allocates.
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  virtual ResponseWriter& start(Status status) = 0;
  /// Name and value must not contain CR, LF or NUL: checked, a broken invariant otherwise.
  virtual ResponseWriter& header(std::string_view name, std::string_view value) = 0;
  /// Ends the response with this body.
  virtual void body(std::string_view content_type, std::string_view content) = 0;
  /// Ends the response without a body.
  virtual void finish() = 0;
  /// application/problem+json (RFC 9457). `detail_json` is extra members, e.g. `"errors":[…]`, or
  /// empty. Adds Retry-After to 429 and 503.
  virtual void problem(ErrorCode code, std::string_view text,
                       std::string_view detail_json = {}) = 0;
  /// The same in the place of `body`, after `start` and any `header`.
  virtual void problem_body(std::string_view text, std::string_view detail_json) = 0;
};

}  // namespace trialwire::net
