// SPDX-License-Identifier: Apache-2.0
#include "net/framing.hpp"

#include <arpa/inet.h>

#include <array>

#include "net/char_class.hpp"

namespace trialwire::net {
namespace {

constexpr Refusal accepted{};

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  char l = static_cast<char>(c | 0x20);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/// Escapes well formed, no NUL, no segment that means "..", also when its slashes are escaped: what
/// a path refers to must not depend on who decodes it first.
Refusal check_path(std::string_view path) noexcept {
  constexpr Refusal bad{400, "the request's path is malformed"};
  std::size_t dots = 0;
  bool only_dots = true;
  for (std::size_t i = 0; i <= path.size(); ++i) {
    char c = i < path.size() ? path[i] : '/';
    if (c == '%') {
      if (i + 2 >= path.size()) return bad;
      int high = hex_value(path[i + 1]);
      int low = hex_value(path[i + 2]);
      if (high < 0 || low < 0) return bad;
      c = static_cast<char>(high << 4 | low);
      if (c == '\0') return bad;
      i += 2;
    }
    if (c == '/') {
      if (only_dots && dots == 2) return bad;
      dots = 0;
      only_dots = true;
    } else if (c == '.') {
      ++dots;
    } else {
      only_dots = false;
    }
  }
  return accepted;
}

/// [":" port], the port a number of 16 bits or empty.
bool valid_port(std::string_view text) noexcept {
  if (text.empty()) return true;
  if (text[0] != ':' || text.size() > 6) return false;
  unsigned number = 0;
  for (char c : text.substr(1)) {
    if (!is_digit(c)) return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  return number <= 65'535;
}

/// IPv6address of RFC 3986, without its brackets.
bool valid_ipv6(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size()) return false;
  text.copy(terminated.data(), text.size());
  in6_addr address{};
  return ::inet_pton(AF_INET6, terminated.data(), &address) == 1;
}

/// uri-host [":" port] of RFC 9110, not empty.
bool valid_authority(std::string_view text) noexcept {
  if (text.empty()) return false;
  if (text[0] == '[') {
    std::size_t close = text.find(']');
    if (close == std::string_view::npos || !valid_ipv6(text.substr(1, close - 1))) return false;
    return valid_port(text.substr(close + 1));
  }
  const char* end = text.data() + text.size();
  const char* p = host_chars.skip(text.data(), end);
  while (p < end && *p == '%') {
    if (end - p < 3 || hex_value(p[1]) < 0 || hex_value(p[2]) < 0) return false;
    p = host_chars.skip(p + 3, end);
  }
  auto host_bytes = static_cast<std::size_t>(p - text.data());
  return host_bytes != 0 && valid_port(text.substr(host_bytes));
}

/// Calls `each(element)` for the elements of a comma-separated list, over all headers of that kind,
/// but for empty ones (RFC 9110, 5.6.1.2).
template <typename Each>
void for_each_element(const RequestHead& head, KnownHeader kind, Each each) {
  std::size_t first = head.known[static_cast<std::size_t>(kind)];
  if (first == 0) return;
  for (std::size_t i = first - 1; i < head.field_count; ++i) {
    const HeaderField& field = head.fields[i];
    if (i != first - 1 && known_header(field.name) != kind) continue;
    std::string_view rest = field.value;
    for (;;) {
      std::size_t comma = rest.find(',');
      std::string_view element = rest.substr(0, comma);
      while (!element.empty() && (element.front() == ' ' || element.front() == '\t'))
        element.remove_prefix(1);
      while (!element.empty() && (element.back() == ' ' || element.back() == '\t'))
        element.remove_suffix(1);
      if (!element.empty()) each(element);
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
}

std::string_view value_of(const RequestHead& head, KnownHeader kind) noexcept {
  return head.fields[head.known[static_cast<std::size_t>(kind)] - 1U].value;
}

bool repeated(const RequestHead& head, KnownHeader kind) noexcept {
  return (head.repeated & RequestHead::bit(kind)) != 0;
}

Refusal check_host(RequestHead& head) noexcept {
  if (repeated(head, KnownHeader::host)) return {400, "there is more than one Host header"};
  if (!head.has(KnownHeader::host)) {
    if (head.minor_version == 0) return accepted;
    return {400, "the Host header is missing"};
  }
  std::string_view host = value_of(head, KnownHeader::host);
  if (!head.valid_host.is(host)) {
    if (!valid_authority(host)) return {400, "the Host header is invalid"};
    head.valid_host.keep(host);
  }
  // The authority of an absolute-form target overrides Host (RFC 9112, 3.2.2).
  if (head.host.empty()) head.host = host;
  return accepted;
}

Refusal check_content_length(RequestHead& head) noexcept {
  if (!head.has(KnownHeader::content_length)) return accepted;
  if (repeated(head, KnownHeader::content_length))
    return {400, "there is more than one Content-Length"};
  std::string_view text = value_of(head, KnownHeader::content_length);
  if (text.empty()) return {400, "Content-Length is malformed"};
  constexpr std::uint64_t limit = std::uint64_t{1} << 63;
  std::uint64_t value = 0;
  for (char c : text) {
    if (!is_digit(c)) return {400, "Content-Length is malformed"};
    value = value >= limit / 10 ? limit : value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (value >= limit) return {413, "the body is too large"};
  head.content_length = value;
  return accepted;
}

bool is_token(std::string_view text) noexcept {
  for (char c : text)
    if (!is_token_char(c)) return false;
  return !text.empty();
}

Refusal check_transfer_encoding(RequestHead& head) noexcept {
  if (!head.has(KnownHeader::transfer_encoding)) return accepted;
  if (head.has(KnownHeader::content_length))
    return {400, "both Content-Length and Transfer-Encoding are present"};
  if (head.minor_version == 0) return {400, "HTTP/1.0 has no Transfer-Encoding"};
  bool malformed = false;
  bool unknown = false;
  bool after_chunked = false;
  for_each_element(head, KnownHeader::transfer_encoding, [&](std::string_view coding) {
    // A coding has parameters, chunked has none: "chunked;x" is not chunked.
    std::string_view name = coding.substr(0, coding.find_first_of("; \t"));
    if (!is_token(name)) malformed = true;
    if (head.chunked) after_chunked = true;
    if (equal_ignoring_case(name, "chunked")) {
      if (name.size() != coding.size()) malformed = true;
      head.chunked = true;
    } else {
      unknown = true;
    }
  });
  // No coding at all leaves the body without an end.
  if (malformed || !(head.chunked || unknown)) return {400, "Transfer-Encoding is malformed"};
  if (after_chunked) return {400, "chunked is not the last transfer coding"};
  if (unknown) return {501, "only the transfer coding chunked is implemented"};
  return accepted;
}

Refusal check_connection(RequestHead& head) noexcept {
  if (!head.has(KnownHeader::connection)) return accepted;
  bool malformed = false;
  bool close = false;
  bool keep = false;
  for_each_element(head, KnownHeader::connection, [&](std::string_view option) {
    if (!is_token(option)) malformed = true;
    if (equal_ignoring_case(option, "close")) close = true;
    if (equal_ignoring_case(option, "keep-alive")) keep = true;
  });
  if (malformed) return {400, "Connection is malformed"};
  if (keep) head.keep_alive = true;
  if (close) head.keep_alive = false;
  return accepted;
}

Refusal check_expect(RequestHead& head) noexcept {
  // RFC 9110, 10.1.1: an expectation in an HTTP/1.0 request is ignored.
  if (!head.has(KnownHeader::expect) || head.minor_version == 0) return accepted;
  bool other = false;
  for_each_element(head, KnownHeader::expect, [&](std::string_view expectation) {
    if (equal_ignoring_case(expectation, "100-continue")) {
      head.expects_continue = true;
    } else {
      other = true;
    }
  });
  if (other) return {417, "only the expectation 100-continue can be met"};
  return accepted;
}

}  // namespace

Refusal split_target(std::string_view target, bool plain, RequestHead& head) noexcept {
  constexpr Refusal malformed{400, "the request target is malformed"};
  head.method = method_of(head.method_text);
  head.query = {};
  head.path = {};
  if (target == "*") {
    if (head.method != Method::options) return malformed;
    head.path = target;
    return accepted;
  }
  if (head.method_text == "CONNECT") return {501, "this server is no proxy"};
  if (target[0] != '/') {
    std::size_t scheme = target.find("://");
    if (scheme == std::string_view::npos) return malformed;
    std::string_view name = target.substr(0, scheme);
    if (!equal_ignoring_case(name, "http") && !equal_ignoring_case(name, "https")) return malformed;
    target.remove_prefix(scheme + 3);
    std::size_t path = target.find_first_of("/?");
    head.host = target.substr(0, path);
    if (!valid_authority(head.host)) return malformed;
    target = path == std::string_view::npos ? std::string_view() : target.substr(path);
  }
  if (plain) {
    head.path = target.empty() ? "/" : target;
    return accepted;
  }
  std::size_t mark = target.find('?');
  head.path = target.substr(0, mark);
  if (mark != std::string_view::npos) head.query = target.substr(mark + 1);
  if (head.path.empty()) head.path = "/";
  if (head.path.find_first_of("%.") == std::string_view::npos) return accepted;
  return check_path(head.path);
}

Refusal check_framing(RequestHead& head) noexcept {
  head.content_length = 0;
  head.chunked = false;
  head.expects_continue = false;
  head.keep_alive = head.minor_version >= 1;
  if (Refusal found = check_host(head); found.status != 0) return found;
  if (Refusal found = check_content_length(head); found.status != 0) return found;
  constexpr std::uint16_t seldom = RequestHead::bit(KnownHeader::transfer_encoding) |
                                   RequestHead::bit(KnownHeader::connection) |
                                   RequestHead::bit(KnownHeader::expect);
  if ((head.present & seldom) == 0) return accepted;
  for (auto check : {check_transfer_encoding, check_connection, check_expect})
    if (Refusal found = check(head); found.status != 0) return found;
  return accepted;
}

}  // namespace trialwire::net
