// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/record_query.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "storage/page_cursor.hpp"
#include "storage/sql/list_select.hpp"
#include "storage/sql/mysql/statement.hpp"
#include "storage/sql/page_writer.hpp"
#include "storage/sql/query_pool.hpp"

namespace trialwire::storage::mysql {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view listing = "list records";
constexpr std::size_t statements_max = 64;  // of one connection; there are fewer shapes
constexpr std::chrono::seconds kill_patience{1};

struct Pooled {
  // The statements must die first.
  Connection connection;
  SipKey cursor_key;
  std::unordered_map<std::string, Statement> statements;
  bool fresh = true;  // made for the query at hand
};

/// The row that a statement is at.
class StatementRow final : public ListRow {
 public:
  explicit StatementRow(const Statement& statement) noexcept : statement_(statement) {}
  bool is_null(int column) const override { return statement_.is_null(column); }
  std::int64_t integer(int column) const override { return statement_.integer(column); }
  double real(int column) const override { return statement_.real(column); }
  std::string_view text(int column) const override { return statement_.text(column); }

 private:
  const Statement& statement_;
};

class MysqlQuery final : public RecordQuery {
 public:
  explicit MysqlQuery(RecordQueryOptions options)
      : options_(std::move(options)), pool_(options_.connections_max) {}

  Result<ListPage> list(const Principal& principal, const ListShape& shape,
                        const ListFilter& filter, const QueryControl& control) override;

 private:
  using PooledPointer = QueryPool<Pooled>::Pointer;

  Result<PooledPointer> connect(const Patience& patience) const;
  Result<ListPage> read(Pooled& pooled, const Principal& principal, const ListShape& shape,
                        const ListFilter& filter, const Patience& patience) const;
  static Result<Statement*> prepared(Pooled& pooled, const std::string& sql,
                                     const Patience& patience);
  Result<ListPage> fill(Statement& statement, SipKey key, const ListShape& shape,
                        const ListFilter& filter, const Patience& patience) const;
  void end_on_server(const Pooled& pooled) const;

  RecordQueryOptions options_;
  QueryPool<Pooled> pool_;
};

Result<ListPage> MysqlQuery::list(const Principal& principal, const ListShape& shape,
                                  const ListFilter& filter, const QueryControl& control) {
  Interrupt interrupt;
  std::stop_callback on_stop(control.stop, [&interrupt] { interrupt.raise(); });
  const Patience patience{.interrupt = &interrupt, .deadline = control.deadline};
  while (true) {
    if (given_up(control)) return std::unexpected(reason_to_give_up(control));
    auto pooled = pool_.take([&] { return connect(patience); });
    if (!pooled) {
      if (given_up(control)) return std::unexpected(reason_to_give_up(control));
      return std::unexpected(for_asker(std::move(pooled.error())));
    }
    Result<ListPage> page = read(**pooled, principal, shape, filter, patience);
    const bool was_fresh = std::exchange((*pooled)->fresh, false);
    const bool broken = (*pooled)->connection.broken();
    const bool gave_up = !page && given_up(control);
    if (broken && gave_up) end_on_server(**pooled);
    pool_.give_back(broken ? nullptr : std::move(*pooled));
    if (page) return page;
    if (gave_up) return std::unexpected(reason_to_give_up(control));
    // It was cut while it idled: so may the others be, but a new one tells.
    if (broken && !was_fresh && page.error().code == ErrorCode::unavailable) continue;
    return std::unexpected(for_asker(std::move(page.error())));
  }
}

/// The server would go on with it until it has an answer that nobody takes.
void MysqlQuery::end_on_server(const Pooled& pooled) const {
  ConnectionOptions options = options_.connection;
  options.connect_timeout = kill_patience;
  kill_connection(options, pooled.connection.facts().connection_id);
}

Result<MysqlQuery::PooledPointer> MysqlQuery::connect(const Patience& patience) const {
  auto connection = Connection::connect(options_.connection, patience);
  if (!connection) return std::unexpected(connection.error());
  // Where there are no tables yet: unavailable.
  auto rows = connection->rows("SELECT value FROM secrets WHERE name = 'page_cursor'",
                               "read its key", patience);
  if (!rows) return std::unexpected(rows.error());
  const std::string key = rows->empty() ? "" : rows->front().front().value_or("");
  if (key.size() != 16) {
    return fail(ErrorCode::unavailable,
                fmt::format("mysql {}: has no key for page cursors", connection->name()));
  }
  SipKey cursor_key{load_le<std::uint64_t>(key.data()), load_le<std::uint64_t>(key.data() + 8)};
  return std::make_unique<Pooled>(Pooled{std::move(*connection), cursor_key, {}, true});
}

Result<ListPage> MysqlQuery::read(Pooled& pooled, const Principal& principal,
                                  const ListShape& shape, const ListFilter& filter,
                                  const Patience& patience) const {
  auto begin = page_begin(shape, filter, pooled.cursor_key);
  if (!begin) return std::unexpected(begin.error());
  ListSelect select(pooled.connection.facts().dialect, principal, shape, filter, *begin);
  auto statement = prepared(pooled, select.sql(), patience);
  if (!statement) return std::unexpected(statement.error());
  if (auto done = (*statement)->execute(select.parameters(), listing, patience); !done) {
    if (done.error().code != ErrorCode::invalid_argument) return std::unexpected(done.error());
    return fail(ErrorCode::invalid_argument, "a filter's value: is not valid UTF-8");
  }
  Result<ListPage> page = fill(**statement, pooled.cursor_key, shape, filter, patience);
  auto finished = (*statement)->finish(listing, patience);
  if (page && !finished) return std::unexpected(finished.error());
  return page;
}

Result<Statement*> MysqlQuery::prepared(Pooled& pooled, const std::string& sql,
                                        const Patience& patience) {
  auto found = pooled.statements.find(sql);
  if (found != pooled.statements.end()) return &found->second;
  if (pooled.statements.size() >= statements_max) pooled.statements.clear();
  auto statement = pooled.connection.prepare(sql, patience);
  if (!statement) return std::unexpected(statement.error());
  return &pooled.statements.emplace(sql, std::move(*statement)).first->second;
}

/// Row by row: a page that is full of large items ends before all of them are here.
Result<ListPage> MysqlQuery::fill(Statement& statement, SipKey key, const ListShape& shape,
                                  const ListFilter& filter, const Patience& patience) const {
  PageWriter page(shape, filter, options_.page_bytes_max);
  while (true) {
    auto fetched = statement.fetch(listing, patience);
    if (!fetched) return std::unexpected(fetched.error());
    if (!*fetched || !page.add(StatementRow(statement))) break;
  }
  return page.finish(key);
}

}  // namespace

std::unique_ptr<RecordQuery> make_record_query(RecordQueryOptions options) {
  return std::make_unique<MysqlQuery>(std::move(options));
}

}  // namespace trialwire::storage::mysql
