// SPDX-License-Identifier: Apache-2.0
#include "ingest/rejected_lines.hpp"

#include <algorithm>
#include <utility>

#include "ingest/json_text.hpp"

namespace trialwire::ingest {
namespace {

void append_more(std::string& to, std::uint64_t more) {
  if (more == 0) return;
  to += " (and ";
  append_number(to, more);
  to += " more)";
}

/// Where the errors of the line end whose first one is at `begin`.
std::size_t end_of_line(const RejectedView& rejected, std::size_t begin) noexcept {
  std::size_t end = begin + 1;
  while (end < rejected.size() && rejected[end].total == 0) ++end;
  return end;
}

void append_line(std::string& to, const RejectedView& rejected, std::size_t begin,
                 std::size_t end) {
  const LineError first = rejected[begin];
  to += R"({"line":)";
  append_number(to, first.line);
  to += ',';
  std::string message(rejected.message(first));
  append_more(message, first.total - 1);
  append_error_members(to, first.field, first.rule, message);
  if (end - begin == 1) return;
  to.back() = ',';
  to += R"("errors":[)";
  for (std::size_t i = begin; i < end; ++i) {
    const LineError error = rejected[i];
    to += i == begin ? "{" : ",{";
    append_error_members(to, error.field, error.rule, rejected.message(error));
  }
  to += "]}";
}

}  // namespace

void RejectedLines::add(const LineError& error, std::string_view message) {
  LineError& added = errors_.emplace_back(error);
  added.message_begin = static_cast<std::uint32_t>(text_.size());
  added.message_bytes = static_cast<std::uint32_t>(message.size());
  text_ += message;
  if (error.total != 0) ++lines_;
}

void RejectedLines::add(std::uint32_t line, const FieldErrors& errors, std::uint32_t further_max) {
  auto total = static_cast<std::uint32_t>(errors.total());
  for (const FieldErrors::Entry& entry : errors.listed()) {
    const bool further = total == 0;
    if (further && errors_.size() - lines_ >= further_max) return;
    add({.line = line, .total = std::exchange(total, 0U), .rule = entry.rule, .field = entry.field},
        errors.message(entry));
  }
}

void append_rejected(std::string& to, const RejectedView& rejected) {
  for (std::size_t i = 0; i < rejected.size();) {
    if (i != 0) to += ',';
    const std::size_t end = end_of_line(rejected, i);
    append_line(to, rejected, i, end);
    i = end;
  }
}

void append_line_errors(std::string& to, const RejectedView& rejected, std::size_t limit) {
  for (std::size_t i = 0; i < std::min(limit, rejected.size()); ++i) {
    const LineError error = rejected[i];
    to += i == 0 ? R"({"line":)" : R"(,{"line":)";
    append_number(to, error.line);
    to += ',';
    append_error_members(to, error.field, error.rule, rejected.message(error));
  }
}

void append_summary(std::string& to, const RejectedView& rejected) {
  if (rejected.size() == 0) return;
  const LineError first = rejected[0];
  to += "line ";
  append_number(to, first.line);
  to += ": ";
  to += first.field;
  if (!first.field.empty()) to += ": ";
  to += rejected.message(first);
  std::uint64_t errors = 0;
  for (std::size_t i = 0; i < rejected.size(); ++i) errors += rejected[i].total;
  append_more(to, errors - 1);
}

}  // namespace trialwire::ingest
