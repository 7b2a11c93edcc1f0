// SPDX-License-Identifier: Apache-2.0
// Reports out of the SQLite file, over read-only connections: they see the last commit, wait for no
// writer, and can change nothing. A connection is opened when it is first needed and again after an
// error, so a file that is not there yet makes queries `unavailable`, nothing more.
#pragma once
#include <array>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "storage/report_query.hpp"
#include "storage/sql/sqlite/database.hpp"

namespace trialwire::storage::sqlite {

struct ReportQueryOptions {
  std::filesystem::path path;
  std::size_t connections_max = 4;      // one a worker
  std::size_t cache_bytes = 512 << 10;  // of each connection
  std::chrono::milliseconds busy_timeout{100};
  std::size_t page_bytes_max = 4 << 20;  // a page ends after the item that reaches it
  // Names of the bits of RecordAttributes::flags, by bit; empty: not shown.
  std::array<std::string, 8> flag_names;
};

std::unique_ptr<ReportQuery> make_report_query(ReportQueryOptions options);

}  // namespace trialwire::storage::sqlite
