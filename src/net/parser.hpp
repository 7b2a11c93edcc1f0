// SPDX-License-Identifier: Apache-2.0
// The head of an HTTP/1.x request, from the bytes that have arrived (RFC 9112, strict).
//
// No state between calls but RequestHead::valid_host, nothing allocated. Restart: a head that was
// incomplete is parsed again from its start once another LF has arrived. What a line makes of a
// request is decided only when the line is complete, so one piece or many give the same outcome.
// Bounds: `head_bytes_max`, `request_line_bytes_max`, `request_headers_max`.
//
// | refused with | what |
// | --- | --- |
// | 400 | bare LF or CR, obs-fold, white space before the colon, controls, a malformed request line
//         or target, Host missing, twice or invalid, Content-Length malformed, twice or with
//         Transfer-Encoding, chunked not last or twice, Transfer-Encoding in HTTP/1.0,
//         '..' or a NUL or a malformed escape in the path |
// | 413 | Content-Length beyond 2^63 |
// | 414, 431 | request line, head or number of headers over the limit; 431 of trailers too |
// | 417 | an expectation other than 100-continue |
// | 501 | a transfer coding other than chunked, CONNECT |
// | 505 | a major version other than HTTP/1; HTTP/1.2 and later are read as HTTP/1.1 |
//
// After any refusal the end of the request is unknown: the connection must be closed.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "net/http.hpp"

namespace trialwire::net {

struct HeadLimits {
  std::size_t head_bytes_max = 16 << 10;
  std::size_t request_line_bytes_max = 8 << 10;
};

/// A Host that was found valid. Nearly all requests of a server name the same one.
class ValidHost {
 public:
  bool is(std::string_view host) const noexcept {
    return size_ != 0 && host == std::string_view(text_.data(), size_);
  }
  void keep(std::string_view host) noexcept {
    if (host.size() > text_.size()) return;
    size_ = host.copy(text_.data(), text_.size());
  }

 private:
  std::array<char, 64> text_;
  std::size_t size_ = 0;
};

/// Views point into the input. Reused from request to request: 3 KiB are not cleared each time.
struct RequestHead {
  Method method = Method::other;
  std::string_view method_text;
  std::string_view path;
  std::string_view query;
  std::string_view host;  // of an absolute-form target, else of the Host header
  ValidHost valid_host;   // of an earlier request
  std::array<HeaderField, request_headers_max> fields;
  std::size_t field_count = 0;
  KnownHeaderIndex known{};
  std::uint16_t present = 0;   // bit per KnownHeader: it is there
  std::uint16_t repeated = 0;  // it is there more than once
  std::uint64_t content_length = 0;
  std::size_t bytes = 0;         // of the whole head, the empty line included
  std::uint32_t timeout_ms = 0;  // of Request-Timeout, valid when it is there
  bool has_timeout = false;
  std::uint8_t minor_version = 1;
  bool keep_alive = true;
  bool chunked = false;
  bool expects_continue = false;

  static constexpr std::uint16_t bit(KnownHeader kind) noexcept {
    return static_cast<std::uint16_t>(1U << static_cast<unsigned>(kind));
  }
  bool has(KnownHeader kind) const noexcept { return (present & bit(kind)) != 0; }
  std::span<const HeaderField> headers() const noexcept { return {fields.data(), field_count}; }
};

struct Refusal {
  Status status = 0;
  std::string_view text;  // static, without anything the client sent
};

enum class ParseState : std::uint8_t { complete, incomplete, refused };

/// `refused` fills `refusal`, `complete` fills `head`.
ParseState parse_head(std::string_view input, const HeadLimits& limits, RequestHead& head,
                      Refusal& refusal) noexcept;

/// tchar of RFC 9110.
bool is_token_char(char c) noexcept;

}  // namespace trialwire::net
