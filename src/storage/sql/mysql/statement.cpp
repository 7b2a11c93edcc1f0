// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/statement.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <utility>
#include <variant>

#include "base/check.hpp"
#include "storage/sql/mysql/link.hpp"

namespace trialwire::storage::mysql {
namespace {

constexpr std::size_t text_bytes_first = 256;  // of a column's buffer, which grows as needed

/// `value` must stay where it is until the statement is executed.
MYSQL_BIND parameter(const Value& value) {
  MYSQL_BIND bind{};
  bind.buffer_type = MYSQL_TYPE_NULL;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    bind.buffer_type = MYSQL_TYPE_LONGLONG;
    bind.buffer = const_cast<std::int64_t*>(integer);  // which is only read
  } else if (const auto* real = std::get_if<double>(&value)) {
    bind.buffer_type = MYSQL_TYPE_DOUBLE;
    bind.buffer = const_cast<double*>(real);
  } else if (const auto* text = std::get_if<std::string_view>(&value)) {
    bind.buffer_type = MYSQL_TYPE_STRING;
    bind.buffer = const_cast<char*>(text->data());
    bind.buffer_length = text->size();
  }
  return bind;
}

}  // namespace

/// What a row is read into.
struct Statement::Columns {
  struct Column {
    std::int64_t integer = 0;
    double real = 0;
    std::string text;
    unsigned long length = 0;
    my_bool null = 0;
  };
  std::vector<Column> columns;
  std::vector<MYSQL_BIND> binds;
  bool rebind = false;  // a buffer has moved
};

Statement::Statement(Link& link, st_mysql_stmt* handle) : link_(&link), handle_(handle) {}
Statement::Statement(Statement&&) noexcept = default;
Statement& Statement::operator=(Statement&&) noexcept = default;
Statement::~Statement() = default;

void Statement::Close::operator()(st_mysql_stmt* handle) const noexcept {
  mysql_stmt_close(handle);
}

Error Statement::error(std::string_view doing) {
  return link_->error(doing, mysql_stmt_errno(handle_.get()), mysql_stmt_sqlstate(handle_.get()));
}

Result<void> Statement::execute(std::span<const Value> parameters, std::string_view doing,
                                const Patience& patience) {
  MYSQL_STMT* handle = handle_.get();
  TW_CHECK(mysql_stmt_param_count(handle) == parameters.size());
  std::vector<MYSQL_BIND> binds;
  binds.reserve(parameters.size());
  for (const Value& value : parameters) binds.push_back(parameter(value));
  if (!binds.empty() && mysql_stmt_bind_param(handle, binds.data()) != 0) {
    return std::unexpected(error(doing));
  }
  int failed = 0;
  link_->drive(
      patience, [&] { return mysql_stmt_execute_start(&failed, handle); },
      [&](int events) { return mysql_stmt_execute_cont(&failed, handle, events); });
  if (failed != 0 || link_->ended != Link::Ended::no) return std::unexpected(error(doing));
  return bind_columns();
}

Result<std::uint64_t> Statement::execute_rows(std::span<st_mysql_bind> binds, std::size_t rows,
                                              std::string_view doing, const Patience& patience) {
  MYSQL_STMT* handle = handle_.get();
  const auto count = static_cast<unsigned>(rows);
  TW_CHECK(mysql_stmt_param_count(handle) == binds.size());
  if (mysql_stmt_attr_set(handle, STMT_ATTR_ARRAY_SIZE, &count) != 0 ||
      mysql_stmt_bind_param(handle, binds.data()) != 0) {
    return std::unexpected(error(doing));
  }
  int failed = 0;
  link_->drive(
      patience, [&] { return mysql_stmt_execute_start(&failed, handle); },
      [&](int events) { return mysql_stmt_execute_cont(&failed, handle, events); });
  if (failed != 0 || link_->ended != Link::Ended::no) return std::unexpected(error(doing));
  return mysql_stmt_affected_rows(handle);
}

Result<void> Statement::bind_columns() {
  MYSQL_STMT* handle = handle_.get();
  const unsigned count = mysql_stmt_field_count(handle);
  if (!columns_) columns_ = std::make_unique<Columns>();
  columns_->columns.resize(count);
  columns_->binds.assign(count, MYSQL_BIND{});
  std::unique_ptr<MYSQL_RES, decltype([](MYSQL_RES* result) { mysql_free_result(result); })>
      description(mysql_stmt_result_metadata(handle));
  for (unsigned i = 0; i < count; ++i) {
    Columns::Column& column = columns_->columns[i];
    MYSQL_BIND& bind = columns_->binds[i];
    bind.length = &column.length;
    bind.is_null = &column.null;
    switch (mysql_fetch_field_direct(description.get(), i)->type) {
      case MYSQL_TYPE_TINY:
      case MYSQL_TYPE_SHORT:
      case MYSQL_TYPE_LONG:
      case MYSQL_TYPE_LONGLONG:
        bind.buffer_type = MYSQL_TYPE_LONGLONG;
        bind.buffer = &column.integer;
        break;
      case MYSQL_TYPE_FLOAT:
      case MYSQL_TYPE_DOUBLE:
        bind.buffer_type = MYSQL_TYPE_DOUBLE;
        bind.buffer = &column.real;
        break;
      default:
        if (column.text.empty()) column.text.resize(text_bytes_first);
        bind.buffer_type = MYSQL_TYPE_STRING;
        bind.buffer = column.text.data();
        bind.buffer_length = column.text.size();
    }
  }
  columns_->rebind = count > 0;
  return {};
}

Result<bool> Statement::fetch(std::string_view doing, const Patience& patience) {
  MYSQL_STMT* handle = handle_.get();
  if (std::exchange(columns_->rebind, false) &&
      mysql_stmt_bind_result(handle, columns_->binds.data()) != 0) {
    return std::unexpected(error(doing));
  }
  int found = 0;
  link_->drive(
      patience, [&] { return mysql_stmt_fetch_start(&found, handle); },
      [&](int events) { return mysql_stmt_fetch_cont(&found, handle, events); });
  if (link_->ended != Link::Ended::no || found == 1) return std::unexpected(error(doing));
  if (found == MYSQL_NO_DATA) return false;
  if (auto whole = take_whole_texts(doing); !whole) return std::unexpected(whole.error());
  return true;
}

/// A text that is longer than its buffer is asked for again with a larger one.
Result<void> Statement::take_whole_texts(std::string_view doing) {
  for (unsigned i = 0; i < columns_->columns.size(); ++i) {
    Columns::Column& column = columns_->columns[i];
    MYSQL_BIND& bind = columns_->binds[i];
    if (bind.buffer_type != MYSQL_TYPE_STRING || column.null != 0) continue;
    if (column.length <= column.text.size()) continue;
    column.text.resize(column.length);
    bind.buffer = column.text.data();
    bind.buffer_length = column.text.size();
    columns_->rebind = true;
    if (mysql_stmt_fetch_column(handle_.get(), &bind, i, 0) != 0) {
      return std::unexpected(error(doing));
    }
  }
  return {};
}

Result<void> Statement::finish(std::string_view doing, const Patience& patience) {
  MYSQL_STMT* handle = handle_.get();
  my_bool failed = 0;
  link_->drive(
      patience, [&] { return mysql_stmt_free_result_start(&failed, handle); },
      [&](int events) { return mysql_stmt_free_result_cont(&failed, handle, events); });
  if (failed != 0 || link_->ended != Link::Ended::no) return std::unexpected(error(doing));
  return {};
}

bool Statement::is_null(int column) const noexcept {
  return columns_->columns[static_cast<std::size_t>(column)].null != 0;
}

std::int64_t Statement::integer(int column) const noexcept {
  return columns_->columns[static_cast<std::size_t>(column)].integer;
}

double Statement::real(int column) const noexcept {
  return columns_->columns[static_cast<std::size_t>(column)].real;
}

std::string_view Statement::text(int column) const noexcept {
  const auto& found = columns_->columns[static_cast<std::size_t>(column)];
  return {found.text.data(), found.length};
}

}  // namespace trialwire::storage::mysql
