// SPDX-License-Identifier: Apache-2.0
// The journal into an SQLite file: rows and cursor in one transaction, synced when it returns.
//
// A record whose identity or record id is stored already adds no row and is counted; one whose kind
// has no mapper is not this sink's. One that cannot be decoded is stored with its bytes and a flag:
// it must neither be lost nor hold up those behind it.
// The cursor is stored only over the one that the sink last read or wrote: another one in the file
// is a conflict, and nothing of the delivery is stored; so is a file that was moved away or
// replaced found out (unavailable). Ask for the cursor again then. A row that the table refuses, or
// a unique key that an operator added, is invalid_argument, one beyond SQLite's own limits
// payload_too_large: the same records never fit; every other error may pass. The file is opened,
// and its schema brought up to date, at the first call and after `reset`. The directory must exist.
#pragma once
#include <memory>
#include <string_view>
#include <vector>

#include "pipeline/sink.hpp"
#include "storage/row_mapper.hpp"
#include "storage/sql/sqlite/database.hpp"

namespace trialwire::telemetry {
class Registry;
}

namespace trialwire::storage::sqlite {

constexpr std::string_view sink_name = "sqlite";

struct SinkOptions {
  DatabaseOptions database;
  unsigned lane = 0;
};

std::unique_ptr<pipeline::Sink> make_sink(SinkOptions options,
                                          std::vector<std::unique_ptr<RowMapper>> mappers,
                                          telemetry::Registry& metrics);

}  // namespace trialwire::storage::sqlite
