// SPDX-License-Identifier: Apache-2.0
// A sink under another name than its own, for a process that has two of a kind: its metrics, dead
// letters and files are apart. The cursor in its database is of its own journal.
#pragma once
#include <memory>
#include <string_view>

#include "pipeline/sink.hpp"

namespace trialwire {

/// The one that takes the audit trail of an api without a gateway to the store.
inline constexpr std::string_view audit_sink_name = "audit";

/// `name` is static.
std::unique_ptr<pipeline::Sink> name_sink(std::unique_ptr<pipeline::Sink> sink,
                                          std::string_view name);

}  // namespace trialwire
