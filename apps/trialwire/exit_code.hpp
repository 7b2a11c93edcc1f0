// SPDX-License-Identifier: Apache-2.0
// What the process says to who started it. The same for every subcommand.
#pragma once

namespace trialwire {

enum ExitCode : int {
  exit_ok = 0,
  exit_failed = 1,        // it could not be done, or what was checked is wrong
  exit_usage = 2,         // wrong command line or settings: nothing was started
  exit_disk_failed = 70,  // serve: the journal's disk failed; what was acknowledged is safe
};

}  // namespace trialwire
