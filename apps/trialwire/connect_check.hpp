// SPDX-License-Identifier: Apache-2.0
// `trialwire config check --connect`: asks every server that the settings name whether it would
// take this program in, and whether the directories of a database file and of the archive can be
// written. Changes nothing there and leaves nothing here.
#pragma once
#include <string>
#include <vector>

#include "config/settings.hpp"

namespace trialwire {

struct ConnectFinding {
  std::string what;  // "store.url: postgres db.example.org:5432/trials"
  bool ok = false;
  std::string detail;  // what was found, or why not; never a password
};

std::vector<ConnectFinding> connect_check(const config::Settings& settings);

}  // namespace trialwire
