// SPDX-License-Identifier: Apache-2.0
// Profiles on the admin port:
//   GET  /debug/pprof/profile?seconds=N   CPU, 30 s without N
//   GET  /debug/pprof/heap?seconds=N      what is in use; see ProfileOptions::heap_always
//   GET  /debug/pprof/symbol, POST        names of addresses, as pprof asks for them
//   GET  /debug/pprof/cmdline             the program; its arguments may hold secrets
//   GET  /debug/flamegraph?seconds=N      CPU as SVG, 10 s without N
// The first four also without /debug, where google-pprof looks for them. A profile is in the form
// of gperftools, which google-pprof and `go tool pprof` both read; with form=proto it is a
// profile.proto, gzip, with the names within.
//
//   what is wrong                              answer
//   a query that is another, too many seconds  400
//   a profile is being taken                   409
//   the audit trail takes no entry             503
// Who takes a profile is in the audit trail before it begins.
#pragma once
#include "base/error.hpp"
#include "net/router.hpp"
#include "operator_log.hpp"
#include "profile_service.hpp"

namespace trialwire {

/// Both must outlive the router's use. Log null: nothing is written down.
Result<void> add_profile_routes(net::Router& router, ProfileService& profiles, OperatorLog* log);

/// Seconds and form of "seconds=5&form=proto"; `seconds` when there are none. Error:
/// invalid_argument, text for the client.
struct ProfileQuery {
  std::chrono::seconds time{0};
  ProfileForm form = ProfileForm::gperftools;
};
Result<ProfileQuery> parse_profile_query(std::string_view query, std::chrono::seconds usual,
                                         std::chrono::seconds longest);

/// Of "0x401000+0x402000": a line each, address and name; at most 10,000.
std::string symbol_lines(std::string_view addresses);

}  // namespace trialwire
