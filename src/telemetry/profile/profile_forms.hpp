// SPDX-License-Identifier: Apache-2.0
// A profile as others read it.
#pragma once
#include <string>

#include "telemetry/profile/profile.hpp"
#include "telemetry/profile/symbols.hpp"

namespace trialwire::telemetry {

/// profile.proto of github.com/google/pprof, not compressed, with the names of functions within.
/// Each sample of a CPU profile has the label `thread`.
std::string profile_proto(const Profile& profile, Symbols& symbols);

/// The forms of gperftools, which google-pprof and `go tool pprof` both read, and look names up
/// in the program themselves: of a CPU profile 8-byte words and the memory map behind them, of a
/// heap profile text ("heap_v2", as sampled). Stacks that are empty have no place in it.
std::string profile_gperftools(const Profile& profile, const Symbols& symbols);

}  // namespace trialwire::telemetry
