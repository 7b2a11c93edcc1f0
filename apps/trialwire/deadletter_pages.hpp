// SPDX-License-Identifier: Apache-2.0
// What `trialwire deadletter` prints. Patients' data only where `reveal` is set: the sender's
// bytes.
#pragma once
#include <string>

#include "storage/sql/sqlite/dead_letter_desk.hpp"

namespace trialwire {

/// The head of the table, and a line of it.
std::string letter_head();
std::string letter_line(const storage::sqlite::DeadLetter& letter, bool reveal);
/// One JSON object, with its line end.
std::string letter_json(const storage::sqlite::DeadLetter& letter, bool reveal);
/// Everything of one letter, a line a field.
std::string letter_page(const storage::sqlite::DeadLetter& letter, bool reveal);

}  // namespace trialwire
