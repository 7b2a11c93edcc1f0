// SPDX-License-Identifier: Apache-2.0
// Dead letters in an SQLite file: what the lanes put aside and take out again. See
// pipeline/dead_letters.hpp for what is promised, dead_letter_file.hpp for the file.
//
// Any thread: one connection behind a lock. The file is opened at the first call, and again after
// an error and when it was moved away; the directory must exist.
#pragma once
#include <filesystem>
#include <memory>

#include "pipeline/dead_letters.hpp"

namespace trialwire::storage::sqlite {

std::unique_ptr<pipeline::DeadLetters> make_dead_letters(std::filesystem::path path);

}  // namespace trialwire::storage::sqlite
