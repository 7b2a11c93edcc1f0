// SPDX-License-Identifier: Apache-2.0
#include "audit/entry.hpp"

#include <ctime>

#include <fmt/format.h>

#include "base/rfc3339.hpp"
#include "base/utf8.hpp"
#include "storage/json_text.hpp"

namespace trialwire::audit {
namespace {

constexpr std::string_view cut_mark = "…";

/// At most so many bytes, whole characters.
std::string bounded(std::string_view text) {
  if (text.size() <= value_bytes_max) return std::string(text);
  return std::string(utf8_prefix(text, value_bytes_max - cut_mark.size())).append(cut_mark);
}

class Members {
 public:
  explicit Members(std::string& to) : to_(to) { to_ += '{'; }
  ~Members() { to_ += '}'; }
  Members(const Members&) = delete;
  Members& operator=(const Members&) = delete;

  void text(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    this->name(name);
    storage::append_json_string(to_, value);
  }
  void number(std::string_view name, const std::optional<std::uint64_t>& value) {
    if (!value) return;
    this->name(name);
    storage::append_number(to_, *value);
  }
  void written(std::string_view name, std::string_view json) {
    if (json.empty()) return;
    this->name(name);
    to_ += json;
  }

 private:
  void name(std::string_view name) {
    if (!first_) to_ += ',';
    first_ = false;
    storage::append_json_string(to_, name);
    to_ += ':';
  }
  std::string& to_;
  bool first_ = true;
};

std::string array_of(const std::vector<std::string>& texts) {
  if (texts.empty()) return {};
  std::string json = "[";
  for (const std::string& text : texts) {
    if (json.size() > 1) json += ',';
    storage::append_json_string(json, text);
  }
  return json + ']';
}

}  // namespace

void append_json(std::string& to, const Entry& entry) {
  Members members(to);
  members.text("who", entry.who);
  members.written("roles", array_of(entry.roles));
  members.text("what", entry.what);
  members.text("outcome", entry.outcome);
  members.text("target", entry.target);
  members.text("studyId", entry.study);
  members.text("siteId", entry.site);
  members.text("subject", entry.subject);
  members.text("timestamp", format_rfc3339_ms(entry.at_ns));
  members.text("zone", entry.zone);
  members.number("rows", entry.rows);
  members.number("times", entry.times);
  members.text("why", entry.why);
  members.written("detail", entry.detail);
  members.text("old", bounded(entry.old_value));
  members.text("new", bounded(entry.new_value));
  members.text("origin", entry.origin);
}

std::string zone_at(std::int64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000);
  std::tm local{};
  if (::localtime_r(&seconds, &local) == nullptr) return "+00:00";
  const long minutes = local.tm_gmtoff / 60;
  const long size = minutes < 0 ? -minutes : minutes;
  return fmt::format("{}{:02}:{:02}", minutes < 0 ? '-' : '+', size / 60, size % 60);
}

}  // namespace trialwire::audit
