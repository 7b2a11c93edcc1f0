// SPDX-License-Identifier: Apache-2.0
#include "loadgen/response_parser.hpp"

#include <charconv>
#include <cstring>

namespace trialwire::loadgen {
namespace {

constexpr std::size_t head_bytes_max = 16 << 10;
constexpr std::size_t body_bytes_max = 16 << 20;
constexpr std::string_view status_line_start = "HTTP/1.1 200 ";

using State = ParsedResponse::State;

// `lower` is in lower case and holds letters and '-' only, for which |0x20 is enough.
bool starts_with_name(std::string_view line, std::string_view lower) noexcept {
  if (line.size() < lower.size()) return false;
  for (std::size_t i = 0; i < lower.size(); ++i) {
    if ((line[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

std::string_view value_after(std::string_view line, std::size_t name_size) noexcept {
  line.remove_prefix(name_size);
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  return line;
}

int status_of(std::string_view line) noexcept {
  if (std::memcmp(line.data(), "HTTP/1.", 7) != 0 || line[8] != ' ') return 0;
  int status = 0;
  const auto [end, error] = std::from_chars(line.data() + 9, line.data() + 12, status);
  if (error != std::errc() || end != line.data() + 12 || status < 100 || status > 599) return 0;
  return status;
}

struct Head {
  State state = State::incomplete;
  bool closes = false;
  int status = 0;
  std::size_t bytes = 0;
  std::size_t body_bytes = 0;
};

bool read_header_line(std::string_view line, Head& head) noexcept {
  constexpr std::string_view length = "content-length:";
  constexpr std::string_view connection = "connection:";
  const char first = static_cast<char>(line.front() | 0x20);
  if (first == 'c') {
    if (starts_with_name(line, length)) {
      const auto value = value_after(line, length.size());
      const auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), head.body_bytes);
      return error == std::errc() && end == value.data() + value.size() &&
             head.body_bytes <= body_bytes_max;
    }
    if (starts_with_name(line, connection)) {
      head.closes = starts_with_name(value_after(line, connection.size()), "close");
    }
  }
  return first != 't' || !starts_with_name(line, "transfer-encoding:");
}

Head parse_head(std::string_view bytes) noexcept {
  Head head;
  if (bytes.size() < status_line_start.size()) return head;
  head.status = status_of(bytes);
  if (head.status == 0) return {.state = State::malformed};
  std::size_t at = 0;
  bool status_line = true;
  while (const void* found = std::memchr(bytes.data() + at, '\n', bytes.size() - at)) {
    const auto line_end = static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
    const auto line = bytes.substr(at, line_end - at);
    at = line_end + 1;
    if (line.empty() || line == "\r") {
      head.state = State::complete;
      head.bytes = at;
      return head;
    }
    if (!status_line && !read_header_line(line, head)) return {.state = State::malformed};
    status_line = false;
  }
  if (bytes.size() > head_bytes_max) head.state = State::malformed;
  return head;
}

}  // namespace

ParsedResponse parse_response(std::string_view bytes) noexcept {
  std::size_t at = 0;
  for (;;) {
    const Head head = parse_head(bytes.substr(at));
    if (head.state != State::complete) return {.state = head.state};
    at += head.bytes;
    if (head.status < 200) continue;
    const std::size_t body_bytes = head.status == 204 || head.status == 304 ? 0 : head.body_bytes;
    if (bytes.size() - at < body_bytes) return {};
    return {.state = State::complete,
            .closes = head.closes,
            .status = head.status,
            .consumed = at + body_bytes,
            .body = bytes.substr(at, body_bytes)};
  }
}

}  // namespace trialwire::loadgen
