// SPDX-License-Identifier: Apache-2.0
#include "telemetry/trace/tracer.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>

#include <fmt/format.h>

#include "base/check.hpp"

namespace trialwire::telemetry {
namespace {

template <std::size_t N>
std::string_view text_of(const std::array<char, N>& text) noexcept {
  return {text.data(), text.size()};
}

void append_json(std::string& to, std::string_view text) {
  for (const char c : text) {
    if (c == '"' || c == '\\') to += '\\';
    // Names are ASCII; a byte that is not may be no UTF-8.
    to += static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E ? '?' : c;
  }
}

void append_text_attribute(std::string& to, std::string_view key, std::string_view value) {
  if (to.back() != '[') to += ',';
  fmt::format_to(std::back_inserter(to), R"({{"key":"{}","value":{{"stringValue":")", key);
  append_json(to, value);
  to += "\"}}";
}

void append_attributes(std::string& to, const Span& span) {
  to += R"("attributes":[)";
  const std::size_t space = span.name().find(' ');
  if (span.kind == SpanKind::server && space != std::string_view::npos) {
    append_text_attribute(to, "http.request.method", span.name().substr(0, space));
    append_text_attribute(to, "http.route", span.name().substr(space + 1));
  }
  for (std::size_t i = 0; i < span.number_count; ++i) {
    if (to.back() != '[') to += ',';
    fmt::format_to(std::back_inserter(to), R"({{"key":"{}","value":{{"intValue":"{}"}}}})",
                   span.numbers[i].key, span.numbers[i].value);
  }
  to += ']';
}

void append_span(std::string& to, const Span& span) {
  auto out = std::back_inserter(to);
  fmt::format_to(out, R"({{"traceId":"{}","spanId":"{}",)", text_of(hex_of(span.trace)),
                 text_of(hex_of(span.id)));
  if (span.parent != SpanId{})
    fmt::format_to(out, R"("parentSpanId":"{}",)", text_of(hex_of(span.parent)));
  to += R"("name":")";
  append_json(to, span.name());
  fmt::format_to(out, R"(","kind":{},"startTimeUnixNano":"{}","endTimeUnixNano":"{}",)",
                 static_cast<unsigned>(span.kind), span.begin_unix_ns, span.end_unix_ns);
  append_attributes(to, span);
  fmt::format_to(out, R"(,"status":{{{}}}}})", span.failed ? R"("code":2)" : "");
}

}  // namespace

void Span::set_name(std::string_view name) noexcept {
  name_bytes = static_cast<std::uint8_t>(std::min(name.size(), name_bytes_max));
  std::ranges::copy(name.substr(0, name_bytes), name_text.begin());
}

void Span::add(SpanNumber number) noexcept {
  if (number_count < numbers_max) numbers[number_count++] = number;
}

Tracer::Tracer(std::size_t spans_max) {
  TW_CHECK(spans_max > 0);
  ring_.resize(spans_max);
}

void Tracer::record(const Span& span) noexcept {
  const std::scoped_lock lock(mutex_);
  ring_[recorded_++ % ring_.size()] = span;
}

std::vector<Span> Tracer::recent(std::size_t most) const {
  const std::uint64_t end = recorded();
  return from(end - std::min<std::uint64_t>(end, most), most).spans;
}

Tracer::Page Tracer::from(std::uint64_t from, std::size_t most) const {
  Page page{.spans = {}, .next = from, .missed = 0};
  page.spans.reserve(std::min(most, ring_.size()));
  while (page.spans.size() < most && copy_some(page, most)) {
  }
  return page;
}

/// Few, so that who records meanwhile does not wait. False: there are no more.
bool Tracer::copy_some(Page& page, std::size_t most) const {
  constexpr std::uint64_t spans_of_a_lock = 64;
  const std::scoped_lock lock(mutex_);
  const std::uint64_t oldest = recorded_ - std::min<std::uint64_t>(recorded_, ring_.size());
  const std::uint64_t begin = std::clamp(page.next, oldest, recorded_);
  if (page.next < oldest) page.missed += oldest - page.next;
  page.next = begin + std::min<std::uint64_t>(
                          {recorded_ - begin, most - page.spans.size(), spans_of_a_lock});
  for (std::uint64_t i = begin; i < page.next; ++i) page.spans.push_back(ring_[i % ring_.size()]);
  return page.next < recorded_;
}

std::uint64_t Tracer::recorded() const noexcept {
  const std::scoped_lock lock(mutex_);
  return recorded_;
}

void RequestTrace::child(std::string_view name, Times times,
                         std::initializer_list<SpanNumber> numbers) const noexcept {
  Span span{.trace = context.trace,
            .id = new_span_id(),
            .parent = context.span,
            .begin_unix_ns = times.begin_unix_ns,
            .end_unix_ns = times.end_unix_ns};
  span.set_name(name);
  for (const SpanNumber& number : numbers) span.add(number);
  tracer->record(span);
}

std::int64_t span_clock_ns() noexcept {
  const std::chrono::nanoseconds now = std::chrono::system_clock::now().time_since_epoch();
  return now.count();
}

std::string otlp_json(const std::vector<Span>& spans, const TraceResource& resource) {
  std::string text = R"({"resourceSpans":[{"resource":{"attributes":[)";
  append_text_attribute(text, "service.name", "trialwire");
  append_text_attribute(text, "service.version", resource.version);
  append_text_attribute(text, "service.instance.id", resource.instance);
  text += R"(]},"scopeSpans":[{"scope":{"name":"trialwire"},"spans":[)";
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (i > 0) text += ',';
    append_span(text, spans[i]);
  }
  return text + "]}]}]}";
}

}  // namespace trialwire::telemetry
