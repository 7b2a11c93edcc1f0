// SPDX-License-Identifier: Apache-2.0
// Lists out of the SQLite file, over read-only connections: they see the last commit, wait for no
// writer, and can change nothing. A connection is opened when it is first needed and again after an
// error, so a file that is not there yet makes queries `unavailable`, nothing more.
#pragma once
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>

#include "storage/record_query.hpp"

namespace trialwire::storage::sqlite {

struct RecordQueryOptions {
  std::filesystem::path path;
  std::size_t connections_max = 4;      // one a worker
  std::size_t cache_bytes = 512 << 10;  // of each connection
  std::chrono::milliseconds busy_timeout{100};
  std::size_t page_bytes_max = 4 << 20;  // a page ends after the item that reaches it
};

std::unique_ptr<RecordQuery> make_record_query(RecordQueryOptions options);

}  // namespace trialwire::storage::sqlite
