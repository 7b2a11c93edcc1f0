// SPDX-License-Identifier: Apache-2.0
#include "ingest/rejected_lines.hpp"

#include <algorithm>

#include "ingest/json_text.hpp"

namespace trialwire::ingest {

void RejectedLines::add(std::uint32_t line, std::string_view field, Rule rule,
                        std::string_view message) {
  auto begin = static_cast<std::uint32_t>(text_.size());
  text_ += message;
  lines_.push_back({line, rule, field, begin, static_cast<std::uint32_t>(message.size())});
}

void RejectedLines::add(std::uint32_t line, const FieldErrors& errors) {
  const FieldErrors::Entry& first = errors.first();
  add(line, first.field, first.rule, errors.message(first));
  if (errors.total() == 1) return;
  text_ += " (and ";
  append_number(text_, errors.total() - 1);
  text_ += " more)";
  RejectedLine& added = lines_.back();
  added.message_bytes = static_cast<std::uint32_t>(text_.size()) - added.message_begin;
}

void append_rejected(std::string& to, const RejectedView& rejected, std::size_t limit) {
  for (std::size_t i = 0; i < std::min(limit, rejected.size()); ++i) {
    RejectedLine line = rejected[i];
    to += i == 0 ? R"({"line":)" : R"(,{"line":)";
    append_number(to, line.line);
    to += ',';
    append_error_members(to, line.field, line.rule, rejected.message(line));
  }
}

void append_summary(std::string& to, const RejectedView& rejected) {
  if (rejected.size() == 0) return;
  RejectedLine first = rejected[0];
  to += "line ";
  append_number(to, first.line);
  to += ": ";
  to += first.field;
  if (!first.field.empty()) to += ": ";
  to += rejected.message(first);
  if (rejected.size() == 1) return;
  to += " (and ";
  append_number(to, rejected.size() - 1);
  to += " more)";
}

}  // namespace trialwire::ingest
