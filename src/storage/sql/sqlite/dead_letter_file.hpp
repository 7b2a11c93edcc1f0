// SPDX-License-Identifier: Apache-2.0
// The file of dead letters (data_dir/deadletters.db): its table, and how a row is read. Used by the
// store, which the lanes write to, and by the desk, at which an operator decides; both may have it
// open at once, each by a connection of its own.
//
// Durable when a commit returned (WAL, synchronous=FULL). Mode 0600: it holds patients' data. The
// schema's version is in the file's user_version; a newer one than this program knows is refused.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/error.hpp"
#include "storage/sql/sqlite/database.hpp"

namespace trialwire::storage::sqlite {

enum class LetterState : std::uint8_t { waiting, retry_requested, delivered, discarded };

/// As stored and shown: "waiting", "retry_requested", "delivered", "discarded".
std::string_view letter_state_name(LetterState state) noexcept;

/// Opens the file and creates the table when it is not there. Errors: as Database::open_writer;
/// internal, when the schema is newer than this program.
Result<Database> open_dead_letters(const std::filesystem::path& path);

}  // namespace trialwire::storage::sqlite
