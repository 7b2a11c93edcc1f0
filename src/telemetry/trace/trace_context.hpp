// SPDX-License-Identifier: Apache-2.0
// W3C Trace Context (https://www.w3.org/TR/trace-context/): who asked for what, across processes.
// Plain functions. What is not well-formed is as if it had not come. `tracestate`, a text of the
// caller, is not looked at: docs/decisions/traces.md.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace trialwire::telemetry {

using TraceId = std::array<std::uint8_t, 16>;
using SpanId = std::array<std::uint8_t, 8>;

struct TraceContext {
  TraceId trace{};
  SpanId span{};  // of who asks
  bool sampled = false;
  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

/// Version, trace-id, parent-id and flags in lower-case hexadecimal. Of a later version than 00
/// what it adds behind a hyphen is not looked at; ff is none. At most 255 bytes.
std::optional<TraceContext> parse_traceparent(std::string_view text) noexcept;

inline constexpr std::size_t traceparent_bytes = 55;
using TraceparentText = std::array<char, traceparent_bytes>;
/// "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TraceparentText traceparent_of(const TraceContext& context) noexcept;

template <std::size_t N>
std::array<char, 2 * N> hex_of(const std::array<std::uint8_t, N>& bytes) noexcept {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<char, 2 * N> text;
  for (std::size_t i = 0; i < N; ++i) {
    text[2 * i] = digits[bytes[i] >> 4];
    text[2 * i + 1] = digits[bytes[i] & 15];
  }
  return text;
}

/// Random, never all zero. Any thread.
TraceId new_trace_id() noexcept;
SpanId new_span_id() noexcept;

/// Of a request that is followed: its last two bytes are a check of the six before, so that who
/// works on its record later, also after a restart, knows that this was decided by this program
/// and not by a caller. No secret: a caller who made one up gets spans within their bounds.
SpanId new_request_span_id() noexcept;
bool is_request_span_id(const SpanId& id) noexcept;

}  // namespace trialwire::telemetry
