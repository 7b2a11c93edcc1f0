// SPDX-License-Identifier: Apache-2.0
#include "net/http.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/bytes.hpp"

namespace trialwire::net {
namespace {

struct KnownName {
  std::string_view name;
  KnownHeader header = KnownHeader::count_;
};

/// By length: no two tagged names have the same.
constexpr auto known_by_length = [] {
  std::array<KnownName, 18> table{};
  constexpr std::array<KnownName, static_cast<std::size_t>(KnownHeader::count_)> names{{
      {"host", KnownHeader::host},
      {"expect", KnownHeader::expect},
      {"connection", KnownHeader::connection},
      {"traceparent", KnownHeader::traceparent},
      {"content-type", KnownHeader::content_type},
      {"authorization", KnownHeader::authorization},
      {"content-length", KnownHeader::content_length},
      {"idempotency-key", KnownHeader::idempotency_key},
      {"content-encoding", KnownHeader::content_encoding},
      {"transfer-encoding", KnownHeader::transfer_encoding},
  }};
  for (const KnownName& entry : names) table[entry.name.size()] = entry;
  return table;
}();

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

constexpr std::array<std::string_view, 8> method_names{"GET",    "HEAD",    "POST",  "PUT",
                                                       "DELETE", "OPTIONS", "PATCH", "other"};

}  // namespace

std::string_view name_of(Method method) noexcept {
  return method_names[static_cast<std::size_t>(method)];
}

Method method_of(std::string_view name) noexcept {
  auto is = [&](Method method) { return name == name_of(method) ? method : Method::other; };
  switch (name.size()) {
    case 3:
      return name[0] == 'G' ? is(Method::get) : is(Method::put);
    case 4:
      return name[0] == 'P' ? is(Method::post) : is(Method::head);
    case 5:
      return is(Method::patch);
    case 6:
      return is(Method::delete_);
    case 7:
      return is(Method::options);
    default:
      return Method::other;
  }
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

std::optional<KnownHeader> known_header(std::string_view name) noexcept {
  if (name.size() >= known_by_length.size()) return std::nullopt;
  const KnownName& known = known_by_length[name.size()];
  // Setting the case bit makes letters lower case and leaves '-' as it is. Of the characters that a
  // name may hold no other becomes a letter or '-', so eight bytes can be compared at once.
  constexpr std::uint64_t case_bits = 0x2020202020202020;
  std::size_t size = known.name.size();
  const char* a = name.data();
  const char* b = known.name.data();
  if (size >= 8) {
    std::uint64_t head = (load_le<std::uint64_t>(a) | case_bits) ^ load_le<std::uint64_t>(b);
    std::uint64_t tail =
        (load_le<std::uint64_t>(a + size - 8) | case_bits) ^ load_le<std::uint64_t>(b + size - 8);
    bool middle = size <= 16 || lower(a[8]) == b[8];
    if ((head | tail) == 0 && middle) return known.header;
    return std::nullopt;
  }
  if (size < 4) return std::nullopt;
  constexpr auto short_bits = static_cast<std::uint32_t>(case_bits);
  std::uint32_t head = (load_le<std::uint32_t>(a) | short_bits) ^ load_le<std::uint32_t>(b);
  std::uint32_t tail =
      (load_le<std::uint32_t>(a + size - 4) | short_bits) ^ load_le<std::uint32_t>(b + size - 4);
  if ((head | tail) != 0) return std::nullopt;
  return known.header;
}

std::string_view Request::header(std::string_view name) const noexcept {
  if (known != nullptr) {
    if (auto tagged = known_header(name)) {
      std::size_t place = (*known)[static_cast<std::size_t>(*tagged)];
      return place == 0 ? std::string_view() : headers[place - 1].value;
    }
  }
  for (const HeaderField& field : headers)
    if (equal_ignoring_case(field.name, name)) return field.value;
  return {};
}

std::optional<std::string_view> Request::param(std::string_view name) const noexcept {
  for (const PathParam& candidate : params)
    if (candidate.name == name) return candidate.value;
  return std::nullopt;
}

std::optional<std::string> url_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      int high = hex_value(text[i + 1]);
      int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high << 4 | low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    out.push_back(c);
  }
  return out;
}

std::string_view reason_of(Status status) noexcept {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

}  // namespace trialwire::net
