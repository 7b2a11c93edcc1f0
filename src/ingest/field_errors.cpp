// SPDX-License-Identifier: Apache-2.0
#include "ingest/field_errors.hpp"

#include "base/check.hpp"
#include "ingest/json_text.hpp"

namespace trialwire::ingest {

std::string_view name_of(Rule rule) noexcept {
  constexpr std::array<std::string_view, static_cast<std::size_t>(Rule::count_)> names{
      "required", "type",   "range",    "length",   "format",   "duplicate",
      "unknown",  "syntax", "encoding", "conflict", "forbidden"};
  auto index = static_cast<std::size_t>(rule);
  TW_CHECK(index < names.size());
  return names[index];
}

void FieldErrors::clear() noexcept {
  element_ = no_element;
  if (total_ == 0) return;
  total_ = 0;
  counts_.fill(0);
  entries_.clear();
  text_.clear();
}

bool FieldErrors::open(std::string_view field, Rule rule) {
  ++total_;
  ++counts_[static_cast<std::size_t>(rule)];
  if (entries_.size() >= listed_max_ && !entries_.empty()) return false;
  entries_.push_back({element_, rule, field, static_cast<std::uint32_t>(text_.size()), 0});
  return true;
}

void FieldErrors::close() noexcept {
  Entry& entry = entries_.back();
  entry.message_bytes = static_cast<std::uint32_t>(text_.size()) - entry.message_begin;
}

void FieldErrors::append_path(std::string& to, const Entry& entry) const {
  if (entry.element != no_element) {
    to += '[';
    append_number(to, entry.element);
    to += entry.field.empty() ? "]" : "].";
  }
  to += entry.field;
}

void FieldErrors::append_summary(std::string& to) const {
  if (empty()) return;
  const Entry& entry = first();
  std::size_t before = to.size();
  append_path(to, entry);
  if (to.size() != before) to += ": ";
  to += message(entry);
  if (total_ > 1) {
    to += " (and ";
    append_number(to, total_ - 1);
    to += " more)";
  }
}

void FieldErrors::append_json(std::string& to) const {
  to += R"("errors":[)";
  std::string path;
  for (const Entry& entry : entries_) {
    to += &entry == entries_.data() ? "{" : ",{";
    path.clear();
    append_path(path, entry);
    append_error_members(to, path, entry.rule, message(entry));
  }
  to += ']';
}

void append_error_members(std::string& to, std::string_view field, Rule rule,
                          std::string_view message) {
  to += R"("field":")";
  append_escaped(to, field);
  to += R"(","rule":")";
  to += name_of(rule);
  to += R"(","message":")";
  append_escaped(to, message);
  to += "\"}";
}

}  // namespace trialwire::ingest
