// SPDX-License-Identifier: Apache-2.0
// Records out of MySQL or MariaDB: pages as storage/record_query.hpp says, over a few connections
// that are made when they are needed and kept, each with the statements that it has prepared. They
// can change nothing.
//
// A query that is given up (deadline, client gone) is ended on the server, and its connection with
// it. A connection that was cut while it idled, as by a restart of the server, is replaced without
// the asker noticing.
#pragma once
#include <cstddef>
#include <memory>

#include "storage/record_query.hpp"
#include "storage/sql/mysql/connection.hpp"

namespace trialwire::storage::mysql {

struct RecordQueryOptions {
  ConnectionOptions connection;
  std::size_t connections_max = 4;       // one a worker
  std::size_t page_bytes_max = 4 << 20;  // a page ends after the item that reaches it
};

std::unique_ptr<RecordQuery> make_record_query(RecordQueryOptions options);

}  // namespace trialwire::storage::mysql
