// SPDX-License-Identifier: Apache-2.0
// Spans of what was traced: kept in a ring of fixed size, the oldest overwritten. Any thread;
// recording takes a lock for a copy of some hundred bytes, and nobody records but for a request
// that is sampled. Never patient data: routes as templates, names of the system's own, numbers; of
// a caller only the two ids of its traceparent.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/trace/trace_context.hpp"

namespace trialwire::telemetry {

enum class SpanKind : std::uint8_t {
  internal = 1,
  server = 2,
  client = 3,
  producer = 4,
  consumer = 5
};

struct SpanNumber {
  std::string_view key;  // static
  std::int64_t value = 0;
};

struct Span {
  static constexpr std::size_t name_bytes_max = 96;
  static constexpr std::size_t numbers_max = 3;

  TraceId trace{};
  SpanId id{};
  SpanId parent{};  // all zero: none
  SpanKind kind = SpanKind::internal;
  bool failed = false;
  std::uint8_t name_bytes = 0;
  std::uint8_t number_count = 0;
  std::int64_t begin_unix_ns = 0;
  std::int64_t end_unix_ns = 0;
  std::array<char, name_bytes_max> name_text{};  // cut
  std::array<SpanNumber, numbers_max> numbers{};

  std::string_view name() const noexcept { return {name_text.data(), name_bytes}; }
  void set_name(std::string_view name) noexcept;
  void add(SpanNumber number) noexcept;
};

class Tracer {
 public:
  /// Over 0.
  explicit Tracer(std::size_t spans_max);

  void record(const Span& span) noexcept;

  /// The last ones, the newest last.
  std::vector<Span> recent(std::size_t most) const;

  /// What was recorded from `from` on, `most` at most.
  struct Page {
    std::vector<Span> spans;
    std::uint64_t next = 0;    // where the page after it begins
    std::uint64_t missed = 0;  // overwritten before this
  };
  Page from(std::uint64_t from, std::size_t most) const;
  /// Ever.
  std::uint64_t recorded() const noexcept;

 private:
  bool copy_some(Page& page, std::size_t most) const;

  mutable std::mutex mutex_;
  std::vector<Span> ring_;
  std::uint64_t recorded_ = 0;
};

/// A request that is traced. Borrows the tracer.
struct RequestTrace {
  Tracer* tracer = nullptr;
  TraceContext context;  // the span of the request itself: the parent of all within
  SpanId parent{};       // the caller's; all zero: none
  std::int64_t begin_unix_ns = 0;

  /// A span within, from `begin_unix_ns` to `end_unix_ns`.
  struct Times {
    std::int64_t begin_unix_ns = 0;
    std::int64_t end_unix_ns = 0;
  };
  void child(std::string_view name, Times times,
             std::initializer_list<SpanNumber> numbers = {}) const noexcept;
};

/// Since the Unix epoch.
std::int64_t span_clock_ns() noexcept;

/// The body of an OTLP/HTTP request in JSON (opentelemetry.proto.collector.trace.v1,
/// ExportTraceServiceRequest). A server's span is named "METHOD route", which become attributes.
struct TraceResource {
  std::string version;
  std::string instance;  // "host:pid"
};
std::string otlp_json(const std::vector<Span>& spans, const TraceResource& resource);

}  // namespace trialwire::telemetry
