// SPDX-License-Identifier: Apache-2.0
#include "deadletter_pages.hpp"

#include <string_view>

#include <fmt/format.h>
#include <simdjson.h>
#include <boost/json.hpp>

#include "base/rfc3339.hpp"
#include "record_text.hpp"

namespace trialwire {
namespace {

namespace json = boost::json;
using storage::sqlite::DeadLetter;
using storage::sqlite::letter_state_name;

constexpr std::size_t line_reason_max = 300;

/// What a terminal shows: control characters, which may be commands to it, become spaces.
std::string printable(std::string_view text, std::size_t max = std::string_view::npos) {
  std::string shown(text.substr(0, max));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  if (text.size() > max) shown += "…";
  return shown;
}

json::string_view js(std::string_view text) {
  return {text.data(), text.size()};
}

bool is_text(const DeadLetter& letter) {
  std::string_view bytes = as_text(letter.record.bytes);
  return simdjson::validate_utf8(bytes.data(), bytes.size());
}

std::string body_text(const DeadLetter& letter) {
  if (is_text(letter)) return printable(as_text(letter.record.bytes));
  return base64(letter.record.bytes);
}

}  // namespace

std::string letter_head() {
  return fmt::format("{:>6}  {:<10} {:>4} {:>12}  {:<12} {:<24} {:>5}  {:<15} {}\n", "id", "sink",
                     "lane", "sequence", "kind", "refused last", "tries", "state", "reason");
}

std::string letter_line(const DeadLetter& letter, bool reveal) {
  std::string line = fmt::format(
      "{:>6}  {:<10} {:>4} {:>12}  {:<12} {:<24} {:>5}  {:<15} {}: {}\n", letter.id, letter.sink,
      letter.lane, letter.record.sequence, name_of(letter.record.attributes.kind),
      format_rfc3339_ms(letter.last_refused_ns), letter.attempts, letter_state_name(letter.state),
      letter.reason_code, printable(letter.reason, line_reason_max));
  if (reveal) line += fmt::format("        {}\n", body_text(letter));
  return line;
}

std::string letter_json(const DeadLetter& letter, bool reveal) {
  const auto& record = letter.record;
  const auto& attributes = record.attributes;
  json::object page{{"id", letter.id},
                    {"sink", js(letter.sink)},
                    {"lane", letter.lane},
                    {"recordId", js(letter.record_id)},
                    {"journalId", record.journal.text()},
                    {"epoch", record.epoch},
                    {"sequence", record.sequence},
                    {"kind", js(name_of(attributes.kind))},
                    {"contentType", js(name_of(attributes.content_type))},
                    {"receivedAt", format_rfc3339_ms(attributes.received_ns)},
                    {"flags", attributes.flags},
                    {"principal", js(attributes.principal)},
                    {"origin", js(attributes.origin)},
                    {"traceparent", js(attributes.traceparent)},
                    {"bytes", record.bytes.size()},
                    {"state", js(letter_state_name(letter.state))},
                    {"attempts", letter.attempts},
                    {"reasonCode", js(letter.reason_code)},
                    {"reason", js(letter.reason)},
                    {"firstRefusedAt", format_rfc3339_ms(letter.first_refused_ns)},
                    {"lastRefusedAt", format_rfc3339_ms(letter.last_refused_ns)}};
  if (attributes.submission != Uuid{}) {
    page["submission"] = json::object{{"id", attributes.submission.text()},
                                      {"index", attributes.submission_index},
                                      {"count", attributes.submission_count}};
  }
  if (!letter.decided_by.empty()) {
    page["decidedBy"] = js(letter.decided_by);
    page["decidedAt"] = format_rfc3339_ms(letter.decided_ns);
    if (!letter.decided_why.empty()) page["decidedWhy"] = js(letter.decided_why);
  }
  if (reveal && is_text(letter)) page["body"] = js(as_text(record.bytes));
  if (reveal && !is_text(letter)) page["bodyBase64"] = base64(record.bytes);
  return json::serialize(page) + "\n";
}

std::string letter_page(const DeadLetter& letter, bool reveal) {
  const auto& record = letter.record;
  const auto& attributes = record.attributes;
  std::string text;
  auto field = [&text](std::string_view name, std::string_view value) {
    if (!value.empty()) text += fmt::format("{:<14} {}\n", name, printable(value));
  };
  field("id", fmt::format("{}", letter.id));
  field("sink", fmt::format("{}, lane {}", letter.sink, letter.lane));
  field("state", letter_state_name(letter.state));
  field("reason", fmt::format("{}: {}", letter.reason_code, letter.reason));
  field("refused", fmt::format("{} times, first {}, last {}", letter.attempts,
                               format_rfc3339_ms(letter.first_refused_ns),
                               format_rfc3339_ms(letter.last_refused_ns)));
  if (!letter.decided_by.empty()) {
    field("decided",
          fmt::format("by {} at {}{}{}", letter.decided_by, format_rfc3339_ms(letter.decided_ns),
                      letter.decided_why.empty() ? "" : ": ", letter.decided_why));
  }
  field("record id", letter.record_id);
  field("journal", fmt::format("{}, epoch {}, sequence {}", record.journal.text(), record.epoch,
                               record.sequence));
  field("kind", fmt::format("{}, {}", name_of(attributes.kind), name_of(attributes.content_type)));
  field("received", format_rfc3339_ms(attributes.received_ns));
  field("principal", attributes.principal);
  field("origin", attributes.origin);
  field("traceparent", attributes.traceparent);
  if (attributes.submission != Uuid{}) {
    field("submission", fmt::format("{}, {} of {}", attributes.submission.text(),
                                    attributes.submission_index + 1, attributes.submission_count));
  }
  field("bytes", fmt::format("{}", record.bytes.size()));
  if (reveal) {
    text += fmt::format("\n{}\n", is_text(letter) ? as_text(record.bytes) : body_text(letter));
  }
  return text;
}

}  // namespace trialwire
