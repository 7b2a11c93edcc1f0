// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/postgres/record_query.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "storage/page_cursor.hpp"
#include "storage/sql/list_select.hpp"
#include "storage/sql/page_writer.hpp"
#include "storage/sql/postgres/sqlstate.hpp"
#include "storage/sql/query_pool.hpp"

namespace trialwire::storage::postgres {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t statements_max = 64;  // of one connection; there are fewer shapes
constexpr std::chrono::milliseconds abandoned_after{250};

// Plans of a page's statement: an index in the page's order, read as far as the page goes. A
// generic plan does not know how few rows LIMIT wants, and without statistics (a table that grew
// within minutes) whatever would be sorted looks small.
constexpr const char* query_settings =
    "SET default_transaction_read_only = on; SET plan_cache_mode = force_custom_plan; "
    "SET enable_sort = off; SET enable_bitmapscan = off";

struct Pooled {
  Connection connection;
  SipKey cursor_key;
  std::unordered_map<std::string, std::string> statements;  // name by text
  bool fresh = true;                                        // made for the query at hand
};

/// The row that the server sent last.
class AnswerRow final : public ListRow {
 public:
  explicit AnswerRow(const Answer& answer) noexcept : answer_(answer) {}
  bool is_null(int column) const override { return answer_.is_null(0, column); }
  std::int64_t integer(int column) const override { return answer_.integer(0, column); }
  double real(int column) const override {
    std::string_view digits = answer_.text(0, column);
    double value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  }
  std::string_view text(int column) const override { return answer_.text(0, column); }

 private:
  const Answer& answer_;
};

/// Parameters as texts with an end, as libpq takes them.
class BoundTexts {
 public:
  explicit BoundTexts(const std::vector<Value>& values) {
    for (const Value& value : values) {
      if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        texts_.push_back(std::to_string(*integer));
      } else if (const auto* text = std::get_if<std::string_view>(&value)) {
        storable_ = storable_ && text->find('\0') == std::string_view::npos;
        texts_.emplace_back(*text);
      }
    }
    for (const std::string& text : texts_) pointers_.push_back(text.c_str());
  }
  const Parameters& pointers() const noexcept { return pointers_; }
  /// No: a text with U+0000, which no row can have.
  bool storable() const noexcept { return storable_; }

 private:
  std::vector<std::string> texts_;
  Parameters pointers_;
  bool storable_ = true;
};

class PostgresQuery final : public RecordQuery {
 public:
  explicit PostgresQuery(RecordQueryOptions options)
      : options_(std::move(options)), pool_(options_.connections_max) {
    options_.connection.settings = query_settings;
    options_.connection.abandoned_after = abandoned_after;
  }

  Result<ListPage> list(const Principal& principal, const ListShape& shape,
                        const ListFilter& filter, const QueryControl& control) override;

 private:
  using PooledPointer = QueryPool<Pooled>::Pointer;

  Result<PooledPointer> connect(const Patience& patience) const;
  Result<ListPage> read(Pooled& pooled, const Principal& principal, const ListShape& shape,
                        const ListFilter& filter, const Patience& patience) const;
  static Result<std::string> prepared(Pooled& pooled, const std::string& sql,
                                      const Patience& patience);
  Result<ListPage> fill(Pooled& pooled, const ListShape& shape, const ListFilter& filter,
                        const Patience& patience) const;

  RecordQueryOptions options_;
  QueryPool<Pooled> pool_;
};

Result<ListPage> PostgresQuery::list(const Principal& principal, const ListShape& shape,
                                     const ListFilter& filter, const QueryControl& control) {
  Interrupt interrupt;
  std::stop_callback on_stop(control.stop, [&interrupt] { interrupt.raise(); });
  Patience patience{.interrupt = &interrupt, .deadline = control.deadline};
  while (true) {
    if (given_up(control)) return std::unexpected(reason_to_give_up(control));
    auto pooled = pool_.take([&] { return connect(patience); });
    if (!pooled) {
      if (given_up(control)) return std::unexpected(reason_to_give_up(control));
      return std::unexpected(for_asker(std::move(pooled.error())));
    }
    Result<ListPage> page = read(**pooled, principal, shape, filter, patience);
    Connection& connection = (*pooled)->connection;
    bool was_fresh = std::exchange((*pooled)->fresh, false);
    bool sound = connection.idle();  // what was given up is not
    pool_.give_back(sound ? std::move(*pooled) : nullptr);
    if (page) return page;
    if (given_up(control)) return std::unexpected(reason_to_give_up(control));
    // It was cut while it idled: so may the others be, but a new one tells.
    if (!sound && !was_fresh && page.error().code == ErrorCode::unavailable) continue;
    return std::unexpected(for_asker(std::move(page.error())));
  }
}

Result<PostgresQuery::PooledPointer> PostgresQuery::connect(const Patience& patience) const {
  auto connection = Connection::connect(options_.connection, patience);
  if (!connection) return std::unexpected(connection.error());
  // In hexadecimal: 32 digits.
  auto key = connection->run("SELECT encode(value, 'hex') FROM secrets WHERE name = 'page_cursor'",
                             "read its key", patience);
  if (!key && connection->sqlstate() == sqlstate::undefined_table) {
    return fail(ErrorCode::unavailable, key.error().text);  // no sink has migrated it yet
  }
  if (!key) return std::unexpected(key.error());
  std::string_view digits = key->has_row() ? key->text(0, 0) : std::string_view();
  std::array<std::uint64_t, 2> words{};
  if (digits.size() != 32) {
    return fail(ErrorCode::unavailable,
                fmt::format("postgres {}: has no key for page cursors", connection->name()));
  }
  std::from_chars(digits.data(), digits.data() + 16, words[0], 16);
  std::from_chars(digits.data() + 16, digits.data() + 32, words[1], 16);
  return std::make_unique<Pooled>(
      Pooled{std::move(*connection), SipKey{words[0], words[1]}, {}, true});
}

Result<ListPage> PostgresQuery::read(Pooled& pooled, const Principal& principal,
                                     const ListShape& shape, const ListFilter& filter,
                                     const Patience& patience) const {
  auto begin = page_begin(shape, filter, pooled.cursor_key);
  if (!begin) return std::unexpected(begin.error());
  ListSelect select(Dialect::postgres, principal, shape, filter, *begin);
  BoundTexts bound(select.parameters());
  if (!bound.storable()) {
    return PageWriter(shape, filter, options_.page_bytes_max).finish(pooled.cursor_key);
  }
  auto statement = prepared(pooled, select.sql(), patience);
  if (!statement) return std::unexpected(statement.error());
  if (auto sent = pooled.connection.send_prepared(statement->c_str(), bound.pointers()); !sent) {
    return std::unexpected(sent.error());
  }
  Result<ListPage> page = fill(pooled, shape, filter, patience);
  if (!page && page.error().code == ErrorCode::invalid_argument) {
    return fail(ErrorCode::invalid_argument, "a filter's value: is not valid UTF-8");
  }
  return page;
}

Result<std::string> PostgresQuery::prepared(Pooled& pooled, const std::string& sql,
                                            const Patience& patience) {
  auto found = pooled.statements.find(sql);
  if (found != pooled.statements.end()) return found->second;
  if (pooled.statements.size() >= statements_max) {
    auto done = pooled.connection.run("DEALLOCATE ALL", "forget statements", patience);
    if (!done) return std::unexpected(done.error());
    pooled.statements.clear();
  }
  std::string name = fmt::format("list_{}", pooled.statements.size());
  if (auto done = pooled.connection.prepare(name.c_str(), sql, patience); !done) {
    return std::unexpected(done.error());
  }
  pooled.statements.emplace(sql, name);
  return name;
}

/// Row by row: a page that is full of large items ends before all of them are here.
Result<ListPage> PostgresQuery::fill(Pooled& pooled, const ListShape& shape,
                                     const ListFilter& filter, const Patience& patience) const {
  PageWriter page(shape, filter, options_.page_bytes_max);
  bool more = true;
  while (true) {
    auto answer = pooled.connection.next("list records", patience);
    if (!answer) return std::unexpected(answer.error());
    if (answer->get() == nullptr) break;
    if (more && answer->has_row()) more = page.add(AnswerRow(*answer));
  }
  return page.finish(pooled.cursor_key);
}

}  // namespace

std::unique_ptr<RecordQuery> make_record_query(RecordQueryOptions options) {
  return std::make_unique<PostgresQuery>(std::move(options));
}

}  // namespace trialwire::storage::postgres
