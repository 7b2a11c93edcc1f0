// SPDX-License-Identifier: Apache-2.0
// Records out of PostgreSQL: pages as storage/record_query.hpp says, over a few connections that
// are made when they are needed and kept. They can change nothing.
//
// A query that is given up (deadline, client gone) returns at once; its connection is dropped, and
// the server, which looks four times a second, ends the statement. A connection that was cut while
// it idled, as by a restart of the server, is replaced without the asker noticing.
#pragma once
#include <cstddef>
#include <memory>

#include "storage/record_query.hpp"
#include "storage/sql/postgres/connection.hpp"

namespace trialwire::storage::postgres {

struct RecordQueryOptions {
  ConnectionOptions connection;
  std::size_t connections_max = 4;       // one a worker
  std::size_t page_bytes_max = 4 << 20;  // a page ends after the item that reaches it
};

std::unique_ptr<RecordQuery> make_record_query(RecordQueryOptions options);

}  // namespace trialwire::storage::postgres
