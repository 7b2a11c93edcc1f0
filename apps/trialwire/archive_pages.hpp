// SPDX-License-Identifier: Apache-2.0
// What `trialwire archive` and `journal verify --archive` print, for people and as JSON. No
// record's bytes are in it.
#pragma once
#include <string>
#include <vector>

#include "archive/manifest.hpp"
#include "archive/verify.hpp"

namespace trialwire {

std::string archive_verify_text(const archive::ArchiveReport& report);
std::string archive_verify_json(const archive::ArchiveReport& report);
/// A table with one line a segment.
std::string archive_list_text(const std::vector<archive::Manifest>& manifests);
std::string archive_list_json(const std::vector<archive::Manifest>& manifests);

}  // namespace trialwire
