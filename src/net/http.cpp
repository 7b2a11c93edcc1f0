// SPDX-License-Identifier: Apache-2.0
#include "net/http.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

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

constexpr auto reasons = [] {
  constexpr std::pair<Status, std::string_view> named[] = {
      {100, "Continue"},
      {101, "Switching Protocols"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {421, "Misdirected Request"},
      {422, "Unprocessable Content"},
      {426, "Upgrade Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {499, "Client Closed Request"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
  };
  std::array<std::string_view, 600> table{};
  for (const auto& [status, reason] : named) table[status] = reason;
  return table;
}();

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
  const std::string_view reason = status < reasons.size() ? reasons[status] : std::string_view();
  return reason.empty() ? "Unknown" : reason;
}

}  // namespace trialwire::net
