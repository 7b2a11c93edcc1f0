// SPDX-License-Identifier: Apache-2.0
// A connection to an SQLite file and its statements, with errors as values. Owned by one thread at
// a time. The file is in WAL mode: one writer, and readers that see the last commit and never wait
// for it. A commit of the writer is durable when it returns (synchronous=FULL).
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "storage/row_mapper.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace trialwire::storage::sqlite {

struct DatabaseOptions {
  std::filesystem::path path;
  std::size_t cache_bytes = 8 << 20;            // of this connection's page cache
  std::size_t wal_bytes = 64 << 20;             // then its pages go into the file (writer)
  std::chrono::milliseconds busy_timeout{250};  // how long another process's lock is waited for
  std::uint64_t file_bytes_max = 0;             // 0: as far as the disk reaches (writer)
};

/// What an SQLite result code (extended or not) is to a caller: by number, never by text.
ErrorCode error_code(int sqlite_code) noexcept;

/// A prepared statement. Must die before its connection. What is bound is borrowed until the
/// statement is reset or bound again.
class Statement {
 public:
  explicit Statement(sqlite3_stmt* handle) noexcept : handle_(handle) {}

  // Parameters count from 1. A bind can only fail for a wrong number: a broken invariant.
  void bind(int parameter, std::int64_t value);
  void bind(int parameter, std::string_view text);
  void bind(int parameter, ByteView blob);
  void bind_null(int parameter);
  void bind(int parameter, const Value& value);

  /// The SQLite result code: SQLITE_ROW, SQLITE_DONE, or an error, which Database::error explains.
  int step() noexcept;
  /// Ready for the next run; bindings stay.
  void reset() noexcept;
  /// Runs a statement without rows: step and reset; the result code is SQLITE_DONE or an error.
  int run() noexcept;

  int columns() const noexcept;
  // Columns count from 0; valid until the next step.
  bool is_null(int column) const noexcept;
  std::int64_t integer(int column) const noexcept;
  double real(int column) const noexcept;
  std::string_view text(int column) const noexcept;
  ByteView blob(int column) const noexcept;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const noexcept;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

class Database {
 public:
  /// Creates the file if it is not there (mode 0600), never its directory. Errors: unavailable
  /// (cannot be opened, read-only, locked), corrupt (not a database), disk_full, io.
  static Result<Database> open_writer(const DatabaseOptions& options);
  /// Sees what is committed, can change nothing.
  static Result<Database> open_reader(const DatabaseOptions& options);
  /// The same of a file that no process has open, be it after a crash: makes and changes no file,
  /// neither the database nor what lies beside it. Error, unavailable: another process has it open,
  /// or there is a write-ahead log and the file may not be written by this account.
  static Result<Database> open_at_rest(const DatabaseOptions& options);

  /// Statements without parameters and rows.
  Result<void> execute(const char* sql);
  Result<Statement> prepare(std::string_view sql);

  /// The error of the last call that failed. Names the file and what was tried; SQLite's texts name
  /// tables and columns, never values.
  Error error(std::string_view doing) const;
  /// Rows that the last INSERT, UPDATE or DELETE changed.
  std::int64_t changes() const noexcept;
  /// The path no longer leads to the file that is open here.
  bool moved() const noexcept;
  sqlite3* handle() const noexcept { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const noexcept;
  };
  enum class Hold : std::uint8_t { shared, alone };
  static Result<Database> open(const DatabaseOptions& options, int flags, Hold hold = Hold::shared);

  std::unique_ptr<sqlite3, Close> handle_;
  std::string path_;
};

}  // namespace trialwire::storage::sqlite
