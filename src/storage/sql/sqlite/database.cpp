// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/database.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <string>
#include <variant>

#include <fmt/format.h>

#include "base/check.hpp"

namespace trialwire::storage::sqlite {
namespace {

constexpr std::size_t page_bytes = 4096;

/// SQLite counts its memory under one lock unless it is told not to, before its first use.
void configure_once() {
  static std::once_flag once;
  std::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
}

/// Patients' data is for this account alone; the WAL gets the mode of the file. Only if it is not
/// there: to close a descriptor of an open database would drop the process's locks on it.
void create_private(const std::filesystem::path& path) {
  int file = ::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0) ::close(file);
}

std::string immutable_uri(const std::filesystem::path& path) {
  std::string uri = "file:";
  for (const char c : path.string()) {
    c == '%' || c == '?' || c == '#' ? uri += fmt::format("%{:02x}", c) : uri += c;
  }
  return uri + "?immutable=1";
}

}  // namespace

ErrorCode error_code(int sqlite_code) noexcept {
  switch (sqlite_code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_PROTOCOL:
    case SQLITE_NOMEM:
      return ErrorCode::unavailable;
    case SQLITE_FULL:
      return ErrorCode::disk_full;
    case SQLITE_IOERR:
    case SQLITE_NOLFS:
      return ErrorCode::io;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::corrupt;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
      return ErrorCode::invalid_argument;  // of the row: it can never be taken
    case SQLITE_TOOBIG:
      return ErrorCode::payload_too_large;
    case SQLITE_INTERRUPT:
    case SQLITE_ABORT:
      return ErrorCode::cancelled;
    default:
      return ErrorCode::internal;
  }
}

void Statement::Finalize::operator()(sqlite3_stmt* handle) const noexcept {
  sqlite3_finalize(handle);
}

void Statement::bind(int parameter, std::int64_t value) {
  TW_CHECK(sqlite3_bind_int64(handle_.get(), parameter, value) == SQLITE_OK);
}

void Statement::bind(int parameter, std::string_view text) {
  // A null pointer would bind NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  TW_CHECK(sqlite3_bind_text64(handle_.get(), parameter, data, text.size(), SQLITE_STATIC,
                               SQLITE_UTF8) == SQLITE_OK);
}

void Statement::bind(int parameter, ByteView blob) {
  const void* data = blob.data() == nullptr ? static_cast<const void*>("") : blob.data();
  TW_CHECK(sqlite3_bind_blob64(handle_.get(), parameter, data, blob.size(), SQLITE_STATIC) ==
           SQLITE_OK);
}

void Statement::bind_null(int parameter) {
  TW_CHECK(sqlite3_bind_null(handle_.get(), parameter) == SQLITE_OK);
}

void Statement::bind(int parameter, const Value& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    bind(parameter, *text);
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    bind(parameter, *integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    TW_CHECK(sqlite3_bind_double(handle_.get(), parameter, *real) == SQLITE_OK);
  } else {
    bind_null(parameter);
  }
}

int Statement::step() noexcept {
  return sqlite3_step(handle_.get());
}
void Statement::reset() noexcept {
  sqlite3_reset(handle_.get());
}

int Statement::run() noexcept {
  int code = step();
  reset();
  return code;
}

int Statement::columns() const noexcept {
  return sqlite3_column_count(handle_.get());
}

bool Statement::is_null(int column) const noexcept {
  return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}

std::int64_t Statement::integer(int column) const noexcept {
  return sqlite3_column_int64(handle_.get(), column);
}

double Statement::real(int column) const noexcept {
  return sqlite3_column_double(handle_.get(), column);
}

std::string_view Statement::text(int column) const noexcept {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

ByteView Statement::blob(int column) const noexcept {
  const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(handle_.get(), column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

void Database::Close::operator()(sqlite3* handle) const noexcept {
  // _v2: a statement that outlives its connection is not leaked.
  sqlite3_close_v2(handle);
}

Result<Database> Database::open(const DatabaseOptions& options, int flags, Hold hold) {
  configure_once();
  Database database;
  database.path_ = options.path.string();
  sqlite3* handle = nullptr;
  int code = sqlite3_open_v2(options.path.c_str(), &handle,
                             flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  database.handle_.reset(handle);
  if (handle == nullptr) return fail(ErrorCode::unavailable, "out of memory");
  if (code != SQLITE_OK) return std::unexpected(database.error("open"));
  sqlite3_busy_timeout(handle, static_cast<int>(options.busy_timeout.count()));
  if (hold == Hold::alone) {
    // Before anything is read: then the log's index is in memory. At the end the log stays.
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    auto done = database.execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA query_only=1");
    if (!done) return std::unexpected(done.error());
  }
  std::string pragmas = fmt::format("PRAGMA cache_size=-{}; PRAGMA temp_store=MEMORY",
                                    std::max<std::size_t>(options.cache_bytes >> 10, 64));
  if (auto done = database.execute(pragmas.c_str()); !done) return std::unexpected(done.error());
  return database;
}

Result<Database> Database::open_writer(const DatabaseOptions& options) {
  create_private(options.path);
  auto database = open(options, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (!database) return database;
  // SQLite opens a file that it may not write as read-only, without an error.
  if (sqlite3_db_readonly(database->handle(), "main") == 1) {
    return fail(ErrorCode::unavailable,
                fmt::format("database {}: is read-only", options.path.string()));
  }
  auto mode = database->prepare("PRAGMA journal_mode=WAL");
  if (!mode) return std::unexpected(mode.error());
  if (mode->step() != SQLITE_ROW) return std::unexpected(database->error("set to WAL mode"));
  if (mode->text(0) != "wal") {
    return fail(ErrorCode::unavailable,
                fmt::format("database {}: its file system has no WAL mode", options.path.string()));
  }
  mode->reset();
  std::string pragmas = fmt::format(
      "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint={}; PRAGMA journal_size_limit={}",
      std::max<std::size_t>(options.wal_bytes / page_bytes, 1), options.wal_bytes);
  if (options.file_bytes_max > 0) {
    pragmas += fmt::format("; PRAGMA max_page_count={}", options.file_bytes_max / page_bytes);
  }
  if (auto done = database->execute(pragmas.c_str()); !done) return std::unexpected(done.error());
  return database;
}

Result<Database> Database::open_reader(const DatabaseOptions& options) {
  return open(options, SQLITE_OPEN_READONLY);
}

Result<Database> Database::open_at_rest(const DatabaseOptions& options) {
  std::error_code none;
  const auto wal_bytes = std::filesystem::file_size(options.path.string() + "-wal", none);
  if (none || wal_bytes == 0) {
    // All of it is in the file. Otherwise opened, it would get a log and its index beside it.
    DatabaseOptions immutable = options;
    immutable.path = immutable_uri(options.path);
    auto database = open(immutable, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
    if (database) database->path_ = options.path.string();
    return database;
  }
  auto database = open(options, SQLITE_OPEN_READWRITE, Hold::alone);
  if (!database) return database;
  if (sqlite3_db_readonly(database->handle(), "main") == 1) {
    return fail(ErrorCode::unavailable,
                fmt::format("database {}: has a write-ahead log and cannot be written, which "
                            "reading it takes",
                            options.path.string()));
  }
  return database;
}

Result<void> Database::execute(const char* sql) {
  if (sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return std::unexpected(error("execute"));
  }
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v3(handle(), sql.data(), static_cast<int>(sql.size()),
                                SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error("prepare"));
  return Statement(statement);
}

Error Database::error(std::string_view doing) const {
  int code = sqlite3_extended_errcode(handle());
  return {error_code(code), fmt::format("database {}: cannot {}: {} (SQLite {})", path_, doing,
                                        sqlite3_errmsg(handle()), code)};
}

bool Database::moved() const noexcept {
  int moved = 0;
  int code = sqlite3_file_control(handle(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return code == SQLITE_OK && moved != 0;
}

std::int64_t Database::changes() const noexcept {
  return sqlite3_changes64(handle());
}

}  // namespace trialwire::storage::sqlite
