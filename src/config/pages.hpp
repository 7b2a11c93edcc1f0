// SPDX-License-Identifier: Apache-2.0
// What is made of the table of settings for people: effective values, and the reference page.
#pragma once
#include <string>

#include "config/settings.hpp"

namespace trialwire::config {

/// YAML that loads to the same settings, but for secrets, which are masked.
std::string print_yaml(const Settings& settings);

/// docs/settings.md: every setting with default, range and meaning.
std::string reference_markdown();

}  // namespace trialwire::config
