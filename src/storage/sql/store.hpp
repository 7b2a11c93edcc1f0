// SPDX-License-Identifier: Apache-2.0
// A SQL database that records go to and lists come from, chosen by the scheme of store.url. Each
// database implements Store; what is the same in all of them is written once, on Session.
//
// A Store holds no connection: sinks, queries and sessions have their own, made when first needed.
// It may be used by any thread, and is outlived by nothing that it made.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/uuid.hpp"
#include "pipeline/lane_schedule.hpp"
#include "pipeline/sink.hpp"
#include "storage/record_query.hpp"
#include "storage/row_mapper.hpp"
#include "storage/sql/session.hpp"

namespace trialwire::telemetry {
class Registry;
}

namespace trialwire::storage {

struct StoreOptions {
  std::string url;                        // store.url
  std::filesystem::path data_dir;         // where a sqlite path that begins with data/ is
  std::size_t query_connections_max = 4;  // one a worker
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds statement_timeout{60'000};  // of a sink
};

using RowMappers = std::vector<std::unique_ptr<RowMapper>>;

/// What a session is for: a reader changes nothing. `at_rest` is a reader of a database of files
/// that no process has open: not even what lies beside its file is made or changed.
enum class Access : std::uint8_t { read, write, at_rest };

class Store {
 public:
  virtual ~Store() = default;

  /// "sqlite", "postgres" or "mysql": names the sink, its cursors and its metrics.
  virtual std::string_view name() const noexcept = 0;
  /// For people: "sqlite /var/lib/trialwire/trialwire.db", "postgres db.example.org:5432/trials".
  /// Neither user nor password.
  virtual std::string where() const = 0;
  /// A database that is not there is no error for a writer, which makes it.
  virtual bool made_when_missing() const noexcept { return false; }
  /// Its work is all done by this process, on the processors that intake wants; of a server's only
  /// the sending is.
  virtual bool works_in_process() const noexcept { return false; }
  /// Whether this account may write where a database of one file is, or will be; leaves nothing
  /// there. Errors: io, unavailable, with the place and the reason. Of a server no error: what it
  /// admits, `connect` says.
  virtual Result<void> check_writable() const { return {}; }

  /// One lane's sink; lanes count from 0. Connects, and migrates, at its first call.
  virtual std::unique_ptr<pipeline::Sink> make_sink(unsigned lane, RowMappers mappers,
                                                    telemetry::Registry& metrics) const = 0;
  virtual std::unique_ptr<RecordQuery> make_query() const = 0;

  /// Connects. Errors: unavailable (no such host, refused, timed out, missing file),
  /// unauthenticated (password), forbidden, not_found (no such database), and the database's own;
  /// the text names host and reason, never a password.
  virtual Result<std::unique_ptr<Session>> connect(Access access) const = 0;
};

/// Errors: invalid_argument, when the URL is none of a known database; the text says what it lacks.
Result<std::unique_ptr<Store>> open_store(const StoreOptions& options);

struct StoredCursor {
  std::string sink;
  unsigned lane = 0;
  std::string journal;
  std::uint64_t next_sequence = 1;
};

/// All that are stored, in the order of sink, journal and lane; none where there is no schema yet.
Result<std::vector<StoredCursor>> stored_cursors(Session& session);

/// Everything of `journal` before it is durable in every lane of `sink` that has, or had, records
/// from there on; 1 when nothing is known to be. A lane without a cursor has nothing yet of what
/// the schedule gives it, one that has all of it and gets no more does not count.
Result<std::uint64_t> durable_below(Session& session, std::string_view sink, const Uuid& journal,
                                    const pipeline::LaneSchedule& schedule);

struct StoreStatus {
  struct Table {
    std::string name;
    std::optional<std::int64_t> rows;  // estimated, without reading the table; nothing: no table
  };
  std::int64_t version_known = 0;    // of the newest migration of this program
  std::int64_t version_applied = 0;  // of the database; 0: no schema
  std::vector<Table> tables;
  std::vector<StoredCursor> cursors;
};

Result<StoreStatus> store_status(Session& session);

}  // namespace trialwire::storage
