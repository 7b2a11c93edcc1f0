// SPDX-License-Identifier: Apache-2.0
// One call of another server over HTTP, and what came of it.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trialwire::outbound {

enum class HttpMethod : std::uint8_t { get, post, put, delete_ };

struct HttpRequest {
  HttpMethod method = HttpMethod::get;
  std::string target = "/";  // path and query, percent-encoded
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string traceparent;                // W3C; empty: none is sent
  std::chrono::milliseconds deadline{0};  // of all attempts together; 0: the target's
  /// A POST that may arrive twice. Others than POST are taken to be so.
  bool repeatable = false;
  /// Set: the body of an answer of status 200 goes here, piece by piece on the client's thread, in
  /// place of HttpResponse::body, and is not bounded; false ends the call. Never repeated; it has
  /// succeeded, to breaker and balancer, when the answer begins.
  std::function<bool(std::string_view piece)> on_body;
  /// Ends the call when asked to: its error is `cancelled`.
  std::stop_token stop;
};

struct HttpResponse {
  unsigned status = 0;  // any but 1xx: a redirect is not followed, a 500 is an answer
  std::string content_type;
  std::string retry_after;
  std::string body;
};

}  // namespace trialwire::outbound
