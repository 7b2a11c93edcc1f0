// SPDX-License-Identifier: Apache-2.0
// Who runs this program, as the audit trail and the dead letters name them.
#pragma once
#include <string>

namespace trialwire {

/// The account's name, or "uid 1001" where it has none.
std::string account_name();

}  // namespace trialwire
