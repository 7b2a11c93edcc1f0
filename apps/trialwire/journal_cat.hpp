// SPDX-License-Identifier: Apache-2.0
// A journal's records as text, one JSON object a line.
#pragma once
#include <string>

#include "journal/record.hpp"

namespace trialwire {

/// Metadata of the record; with `bodies`, also its bytes: "body" when they are UTF-8 text, else
/// "bodyBase64". Ends in a newline.
void append_record_line(std::string& to, const Uuid& journal, const journal::Record& record,
                        bool bodies);

}  // namespace trialwire
