// SPDX-License-Identifier: Apache-2.0
// What `trialwire journal` prints, for people and as JSON. No record's bytes are in it.
#pragma once
#include <filesystem>
#include <string>

#include "journal/offline.hpp"

namespace trialwire {

/// "1.2 GiB"; `config` writes exact sizes, people want short ones.
std::string size_text(std::uint64_t bytes);

std::string info_text(const std::filesystem::path& directory, const journal::JournalInfo& info);
std::string info_json(const std::filesystem::path& directory, const journal::JournalInfo& info);
std::string verify_text(const journal::VerifyReport& report);
std::string verify_json(const journal::VerifyReport& report);
std::string repair_text(const journal::RepairReport& report);

}  // namespace trialwire
