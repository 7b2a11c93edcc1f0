// SPDX-License-Identifier: Apache-2.0
// What a record carries, as people read it.
#pragma once
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "journal/record.hpp"

namespace trialwire {

/// "epro_report"
std::string_view name_of(journal::RecordKind kind);
/// "json_legacy"
std::string_view name_of(journal::ContentType type);
std::string base64(ByteView bytes);

}  // namespace trialwire
