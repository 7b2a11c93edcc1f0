// SPDX-License-Identifier: Apache-2.0
// The same bytes taken apart by Boost.Beast's parser. One empty line before a request is skipped
// for it, as RFC 9112 allows: Beast itself refuses it. So it does HTTP/1.2 and later: where
// `later_minors` is set they are made HTTP/1.1 for it.
#pragma once
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "support/http_streams.hpp"

namespace trialwire::support {

/// The first line of `text` from `begin` on has 1.1 for a higher minor version then.
inline void lower_minor_version(std::string& text, std::size_t begin) {
  constexpr std::string_view version = " HTTP/1.";
  const std::size_t end = text.find("\r\n", begin);
  if (end == text.npos || end - begin <= version.size()) return;
  char& minor = text[end - 1];
  const auto before = std::string_view(text).substr(end - 1 - version.size(), version.size());
  if (before == version && minor > '1' && minor <= '9') minor = '1';
}

inline Stream parse_stream_with_beast(std::string_view input, std::size_t body_max = 1 << 20,
                                      bool later_minors = false) {
  namespace http = boost::beast::http;
  Stream stream;
  std::string text(input);
  std::string_view bytes = text;
  while (!bytes.empty()) {
    if (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
    if (bytes.empty()) {
      stream.end = StreamEnd::incomplete;
      break;
    }
    if (later_minors) lower_minor_version(text, text.size() - bytes.size());
    http::request_parser<http::string_body> parser;
    parser.eager(false);
    parser.header_limit(64 << 10);
    parser.body_limit(body_max);
    StreamRequest request;
    bool has_head = false;
    while (!parser.is_done()) {
      boost::system::error_code error;
      std::size_t used = parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
      if (error && error != http::error::need_more) {
        stream.end = StreamEnd::refused;
        stream.status = 400;
        return stream;
      }
      bytes.remove_prefix(used);
      if (parser.is_header_done() && !has_head) {
        has_head = true;  // trailers would be added to the fields later
        const auto& message = parser.get();
        request.method = message.method_string();
        request.target = message.target();
        request.minor_version = static_cast<int>(message.version()) % 10;
        for (const auto& field : message)
          request.headers.emplace_back(
              lower_case({field.name_string().data(), field.name_string().size()}),
              std::string(field.value()));
      }
      if (!parser.is_done() && used == 0) {
        stream.end = StreamEnd::incomplete;
        return stream;
      }
    }
    request.body = parser.get().body();
    sort_headers(request);
    stream.requests.push_back(std::move(request));
  }
  return stream;
}

}  // namespace trialwire::support
