// SPDX-License-Identifier: Apache-2.0
// The journal into MySQL or MariaDB: rows and cursor in one transaction, durable when its COMMIT is
// answered.
//
// The way of a delivery:
//   START TRANSACTION · cursor: over the one known, or conflict · rows of each kind, many at once
//   (row_batch.hpp) · COMMIT
// Where the server takes arrays the rows go as such; when one of them is there already, the
// delivery and some after it go as text. The cursor comes first: its row is locked until the end,
// so that a delivery that was taken for lost and is not, or another process of the same journal, is
// waited for and then seen.
//
// A record whose identity or record id is stored already adds no row and is counted; one whose kind
// has no mapper is not this sink's. One that cannot be decoded is stored with its bytes and a flag.
// Failure: as error_number.hpp says. A deadlock is tried again at once, a few times. A value that
// its column refuses, or a row that is longer than the server's max_allowed_packet, fails the
// delivery with invalid_argument or payload_too_large. The outcome of a COMMIT whose answer did not
// come is not known: it is an error, and the cursor says later what it was. The connection is made,
// and the schema brought up to date, at the first call and after an error that broke it. Durable
// only if the server syncs its log at each commit: a warning in the log says when it does not
// (innodb_flush_log_at_trx_commit, sync_binlog). Bounds: one connection; one batch of `batch_bytes`
// a kind.
#pragma once
#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "pipeline/sink.hpp"
#include "storage/row_mapper.hpp"
#include "storage/sql/mysql/connection.hpp"

namespace trialwire::telemetry {
class Registry;
}

namespace trialwire::storage::mysql {

constexpr std::string_view sink_name = "mysql";

struct SinkOptions {
  ConnectionOptions connection;
  unsigned lane = 0;
  std::size_t batch_bytes = 1 << 20;            // less where the server takes less
  bool arrays = true;                           // where the server takes them; else as text
  std::chrono::milliseconds statement{60'000};  // then the server is taken for gone
  unsigned deadlock_retries = 3;
  unsigned text_deliveries = 32;  // where rows were there already, before arrays are tried again
};

/// Mappers of distinct kinds.
std::unique_ptr<pipeline::Sink> make_sink(SinkOptions options,
                                          std::vector<std::unique_ptr<RowMapper>> mappers,
                                          telemetry::Registry& metrics);

}  // namespace trialwire::storage::mysql
