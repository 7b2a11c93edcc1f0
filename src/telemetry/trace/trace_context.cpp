// SPDX-License-Identifier: Apache-2.0
#include "telemetry/trace/trace_context.hpp"

#include <algorithm>
#include <cstring>
#include <random>

namespace trialwire::telemetry {
namespace {

constexpr std::size_t traceparent_bytes_max = 255;

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

template <std::size_t N>
bool read_hex(std::string_view text, std::array<std::uint8_t, N>& into) noexcept {
  for (std::size_t i = 0; i < N; ++i) {
    const int high = hex_value(text[2 * i]);
    const int low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    into[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

template <std::size_t N>
bool all_zero(const std::array<std::uint8_t, N>& bytes) noexcept {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

bool is_printable(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7F; });
}

constexpr std::size_t checked_bytes = 6;

/// The finalizer of SplitMix64.
std::uint64_t mixed(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

std::uint16_t check_of(const SpanId& id) noexcept {
  std::uint64_t checked = 0;
  std::memcpy(&checked, id.data(), checked_bytes);
  return static_cast<std::uint16_t>(mixed(checked));
}

/// SplitMix64, seeded by the system for each thread: ids need to differ, not to be secret.
std::uint64_t random_word() noexcept {
  static thread_local std::uint64_t state = [] {
    std::random_device system;
    return std::uint64_t{system()} << 32 | system();
  }();
  return mixed(state += 0x9E3779B97F4A7C15);
}

template <typename Id>
Id random_id() noexcept {
  Id id{};
  do {
    for (std::size_t i = 0; i < id.size(); i += sizeof(std::uint64_t)) {
      const std::uint64_t word = random_word();
      std::memcpy(id.data() + i, &word, sizeof word);
    }
  } while (all_zero(id));
  return id;
}

}  // namespace

std::optional<TraceContext> parse_traceparent(std::string_view text) noexcept {
  if (text.size() < traceparent_bytes || text.size() > traceparent_bytes_max) return std::nullopt;
  if (text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  std::array<std::uint8_t, 1> version{};
  std::array<std::uint8_t, 1> flags{};
  TraceContext context;
  if (!read_hex(text, version) || !read_hex(text.substr(3), context.trace) ||
      !read_hex(text.substr(36), context.span) || !read_hex(text.substr(53), flags))
    return std::nullopt;
  if (version[0] == 0xFF || all_zero(context.trace) || all_zero(context.span)) return std::nullopt;
  const std::string_view more = text.substr(traceparent_bytes);
  if (!more.empty() && (version[0] == 0 || more[0] != '-' || !is_printable(more)))
    return std::nullopt;
  context.sampled = (flags[0] & 1) != 0;
  return context;
}

TraceparentText traceparent_of(const TraceContext& context) noexcept {
  TraceparentText text;
  const auto trace = hex_of(context.trace);
  const auto span = hex_of(context.span);
  auto at = std::ranges::copy(std::string_view("00-"), text.begin()).out;
  at = std::ranges::copy(trace, at).out;
  *at++ = '-';
  at = std::ranges::copy(span, at).out;
  std::ranges::copy(std::string_view(context.sampled ? "-01" : "-00"), at);
  return text;
}

TraceId new_trace_id() noexcept {
  return random_id<TraceId>();
}
SpanId new_span_id() noexcept {
  return random_id<SpanId>();
}

SpanId new_request_span_id() noexcept {
  SpanId id = random_id<SpanId>();
  id[0] |= 1;  // never all zero
  const std::uint16_t check = check_of(id);
  std::memcpy(id.data() + checked_bytes, &check, sizeof check);
  return id;
}
bool is_request_span_id(const SpanId& id) noexcept {
  const std::uint16_t check = check_of(id);
  return std::memcmp(id.data() + checked_bytes, &check, sizeof check) == 0;
}

}  // namespace trialwire::telemetry
