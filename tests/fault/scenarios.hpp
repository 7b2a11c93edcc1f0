// SPDX-License-Identifier: Apache-2.0
// Damage that no power cut does, and rare states that few seeds reach: each scenario makes one of
// them and says what the journal must answer. Every row of the recovery table has one.
#pragma once
#include <span>
#include <string>

namespace trialwire::fault {

struct Scenario {
  const char* name;      // a sentence with underscores
  std::string (*run)();  // what went wrong; empty: nothing
};

std::span<const Scenario> scenarios();

}  // namespace trialwire::fault
