// SPDX-License-Identifier: Apache-2.0
// The journal into PostgreSQL: rows and cursor in one transaction, durable when it is answered.
//
// The way of a delivery, two round trips:
//   BEGIN · for each kind present: binary COPY into a temporary table · cursor: over the one known,
//   or conflict · for each kind: INSERT … SELECT … ON CONFLICT DO NOTHING from there · COMMIT
// The cursor comes before the rows: its row is locked until the end, so that a delivery that was
// taken for lost and is not, or another process of the same journal, is waited for and then seen.
// While it is locked the server waits for nothing from here: a process that is frozen, or cut off,
// amid its rows holds up nobody.
//
// A record whose identity or record id is stored already adds no row and is counted; one whose kind
// has no mapper is not this sink's. One that cannot be decoded is stored with its bytes and a flag.
// One that a unique key of an operator's own keeps out fails the delivery with invalid_argument:
// ON CONFLICT passes over every key, so that what was passed over is looked up.
// Failure: as sqlstate.hpp says. The outcome of a COMMIT whose answer did not come is not known: it
// is an error, and the cursor says later what it was. After any error the connection is dropped;
// the next call makes a new one and brings the schema up to date.
// Bounds: one connection; rows are encoded and sent in pieces, a delivery is never held whole. A
// statement that takes longer than `statement_timeout` ends with deadline_exceeded.
#pragma once
#include <memory>
#include <vector>

#include "pipeline/sink.hpp"
#include "storage/row_mapper.hpp"
#include "storage/sql/postgres/connection.hpp"

namespace trialwire::telemetry {
class Registry;
}

namespace trialwire::storage::postgres {

struct SinkOptions {
  ConnectionOptions connection;
  unsigned lane = 0;
};

/// Mappers of distinct kinds.
std::unique_ptr<pipeline::Sink> make_sink(SinkOptions options,
                                          std::vector<std::unique_ptr<RowMapper>> mappers,
                                          telemetry::Registry& metrics);

}  // namespace trialwire::storage::postgres
