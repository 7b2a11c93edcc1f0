// SPDX-License-Identifier: Apache-2.0
#include "base/url.hpp"

#include <algorithm>
#include <charconv>

namespace trialwire {
namespace {

using Problem = std::unexpected<std::string>;

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  char lower = static_cast<char>(c | 0x20);
  if (lower >= 'a' && lower <= 'f') return static_cast<unsigned>(lower - 'a' + 10);
  return std::nullopt;
}

std::optional<std::string> decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    auto high = hex_digit(text[i + 1]);
    auto low = hex_digit(text[i + 2]);
    if (!high || !low || *high + *low == 0) return std::nullopt;  // %00 ends a text in C
    plain += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return plain;
}

/// Cuts off what is before the first `separator`; all of it when there is none.
std::string_view cut(std::string_view& text, char separator) {
  std::string_view before = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(text.size(), before.size() + 1));
  return before;
}

std::optional<std::string> parse_user(std::string_view text, Url& url) {
  bool has_password = text.find(':') != std::string_view::npos;
  url.user = decoded(cut(text, ':'));
  if (has_password) url.password = decoded(text);
  if (!url.user || (has_password && !url.password)) {
    return "has a malformed percent-encoding in user or password";
  }
  return std::nullopt;
}

std::optional<std::string> parse_port(std::string_view text, Url& url) {
  if (text.empty()) return std::nullopt;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, url.port);
  if (error != std::errc{} || stop != end || url.port == 0) {
    return "has a port that is no number from 1 to 65535";
  }
  return std::nullopt;
}

std::optional<std::string> parse_host(std::string_view text, Url& url) {
  if (text.starts_with('[')) {
    std::size_t close = text.find(']');
    if (close == std::string_view::npos) return "has an IPv6 address without its closing bracket";
    url.host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (text.empty()) return std::nullopt;
    if (!text.starts_with(':')) return "has something else than a port after its IPv6 address";
    return parse_port(text.substr(1), url);
  }
  auto host = decoded(cut(text, ':'));
  if (!host) return "has a malformed percent-encoding in its host";
  url.host = std::move(*host);
  return parse_port(text, url);
}

std::optional<std::string> parse_parameters(std::string_view text, Url& url) {
  while (!text.empty()) {
    std::string_view pair = cut(text, '&');
    if (pair.empty()) continue;
    auto name = decoded(cut(pair, '='));
    auto value = decoded(pair);
    if (!name || !value) return "has a malformed percent-encoding in its parameters";
    url.parameters.emplace_back(std::move(*name), std::move(*value));
  }
  return std::nullopt;
}

bool is_scheme(std::string_view text) {
  auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  };
  return !text.empty() && text.front() >= 'a' && std::ranges::all_of(text, allowed);
}

}  // namespace

std::optional<std::string_view> Url::parameter(std::string_view name) const noexcept {
  auto found = std::ranges::find(parameters, name,
                                 [](const auto& pair) -> std::string_view { return pair.first; });
  if (found == parameters.end()) return std::nullopt;
  return found->second;
}

std::expected<Url, std::string> parse_url(std::string_view text) {
  auto encoded_only = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
  if (std::ranges::any_of(text, encoded_only)) {
    return Problem("has a space or a control character, which must be percent-encoded");
  }
  Url url;
  std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return Problem("has no scheme with ://");
  for (char c : text.substr(0, scheme_end)) {
    url.scheme += static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
  }
  if (!is_scheme(url.scheme)) return Problem("has a malformed scheme");
  text.remove_prefix(scheme_end + 3);
  if (text.find('#') != std::string_view::npos) {
    return Problem("has a #, which is written %23 in a password");
  }
  std::string_view before_query = cut(text, '?');
  if (auto wrong = parse_parameters(text, url)) return Problem(*wrong);
  std::string_view authority = cut(before_query, '/');
  auto path = decoded(before_query);
  if (!path) return Problem("has a malformed percent-encoding in its path");
  url.path = std::move(*path);
  std::size_t at = authority.rfind('@');
  if (at != std::string_view::npos) {
    if (auto wrong = parse_user(authority.substr(0, at), url)) return Problem(*wrong);
    authority.remove_prefix(at + 1);
  }
  if (auto wrong = parse_host(authority, url)) return Problem(*wrong);
  return url;
}

}  // namespace trialwire
