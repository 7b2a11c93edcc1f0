// SPDX-License-Identifier: Apache-2.0
#include "settings_memory.hpp"

#include <boost/json.hpp>
#include <string_view>

#include "config/schema.hpp"
#include "journal/file_layer.hpp"
#include "pipeline/small_file.hpp"
#include "storage/json_text.hpp"

namespace trialwire {
namespace {

void add_member(std::string& json, std::string_view name, std::string_view value) {
  json += json.empty() ? '{' : ',';
  storage::append_json_string(json, name);
  json += ':';
  storage::append_json_string(json, value);
}

}  // namespace

ShownSettings shown_settings(const config::Settings& settings) {
  ShownSettings shown;
  for (const config::Descriptor& descriptor : config::descriptors()) {
    shown.emplace(descriptor.path, config::shown_value(descriptor, settings));
  }
  return shown;
}

SettingsDifference difference(const ShownSettings& before, const ShownSettings& after) {
  SettingsDifference changed;
  for (const auto& [name, value] : before) {
    auto now = after.find(name);
    if (now == after.end() || now->second != value) add_member(changed.before, name, value);
  }
  for (const auto& [name, value] : after) {
    auto then = before.find(name);
    if (then == before.end() || then->second != value) add_member(changed.after, name, value);
  }
  if (!changed.before.empty()) changed.before += '}';
  if (!changed.after.empty()) changed.after += '}';
  return changed;
}

SettingsMemory::SettingsMemory(const std::filesystem::path& data_dir)
    : file_(data_dir / "audit" / "settings") {}

Result<std::optional<ShownSettings>> SettingsMemory::recall() const {
  if (!pipeline::is_there(file_, journal::posix_files())) return std::nullopt;
  auto text = pipeline::read_whole(file_, journal::posix_files());
  if (!text) return std::unexpected(text.error());
  boost::system::error_code wrong;
  const boost::json::value written = boost::json::parse(*text, wrong);
  if (wrong || !written.is_object()) return std::nullopt;
  ShownSettings settings;
  for (const auto& member : written.as_object()) {
    if (const auto* value = member.value().if_string()) settings.emplace(member.key(), *value);
  }
  return settings;
}

Result<void> SettingsMemory::keep(const ShownSettings& settings) const {
  std::string text;
  for (const auto& [name, value] : settings) add_member(text, name, value);
  return pipeline::write_whole(file_, text + "}\n", journal::posix_files());
}

}  // namespace trialwire
