// SPDX-License-Identifier: Apache-2.0
// The table of all settings: one row each, and nothing else knows their names. To add a setting,
// add its field to settings.hpp and its row to the schema_*.cpp of its section; loader, `--set`,
// validation, `config print` and the reference page follow.
#pragma once
#include <span>
#include <string_view>

#include "config/settings.hpp"
#include "config/value.hpp"

namespace trialwire::config {

struct Descriptor {
  std::string_view path;  // "journal.segment_bytes"
  Constraint constraint;
  std::string_view help;  // one line
  bool secret = false;    // masked when shown; of a URL, its password
  Value (*get)(const Settings& settings) = nullptr;
  void (*set)(Settings& settings, const Value& value) = nullptr;
};

/// In the order of the reference page; settings of a section are neighbours.
std::span<const Descriptor> descriptors();

/// "journal" of "journal.sync"; empty for a top-level setting.
std::string_view section_of(std::string_view path);

/// What each section is about: one line for the reference page.
std::string_view section_help(std::string_view section);

/// The value as text that `--set` takes, secrets masked.
std::string shown_value(const Descriptor& descriptor, const Settings& settings);

}  // namespace trialwire::config
