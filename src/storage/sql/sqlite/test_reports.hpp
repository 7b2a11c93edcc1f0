// SPDX-License-Identifier: Apache-2.0
// For the tests of this folder: a directory that goes away, a record format of few words, and
// deliveries of it. A body is "patient trial seconds [site]", e.g. "P-1 T-1 1700000000 S-1".
#pragma once
#include <sqlite3.h>
#include <stdlib.h>

#include <array>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rfc3339.hpp"
#include "pipeline/sink.hpp"
#include "storage/row_mapper.hpp"
#include "storage/sql/sqlite/database.hpp"
#include "storage/sql/sqlite/sink.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::storage::sqlite::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sqlite_test.XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

class WordsMapper final : public RowMapper {
 public:
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::epro_report; }
  const RowTable& table() const noexcept override {
    static constexpr std::array<std::string_view, 6> columns{
        "patient_id", "trial_id", "site_id", "timestamp", "timestamp_ns", "answers"};
    static constexpr RowTable reports{"epro_reports", "epro_report_identities", columns};
    return reports;
  }
  bool map(const journal::Record& record, std::span<Value> row) override {
    std::istringstream words{std::string(as_text(record.bytes))};
    row[4] = record.attributes.received_ns;
    std::int64_t seconds = 0;
    if (!(words >> patient_ >> trial_ >> seconds)) return false;
    row[0] = std::string_view(patient_);
    row[1] = std::string_view(trial_);
    if (words >> site_) row[2] = std::string_view(site_);
    timestamp_ = format_rfc3339_ms(seconds * 1'000'000'000);
    row[3] = std::string_view(timestamp_);
    row[4] = seconds * 1'000'000'000;
    row[5] = std::string_view(R"({"pain":3,"mood":"ok"})");
    return true;
  }

 private:
  std::string patient_, trial_, site_, timestamp_;
};

/// Records as a lane would deliver them, sequences from 1.
class Deliveries {
 public:
  explicit Deliveries(Uuid journal) : journal_(journal) {}

  journal::Record& add(std::string body, std::uint64_t identity = 0) {
    journal::Record& record = records_.emplace_back();
    record.journal = journal_;
    record.sequence = next_++;
    record.epoch = 1;
    record.attributes.received_ns =
        1'770'000'000'000'000'000 + static_cast<std::int64_t>(record.sequence) * 1'000'000;
    record.attributes.origin = "http 127.0.0.1:5123";
    if (identity != 0) record.attributes.identity = {identity, ~identity};
    record.bytes = as_bytes(bodies_.emplace_back(std::move(body)));
    return record;
  }
  void clear() { records_.clear(); }
  void skip_to(std::uint64_t sequence) { next_ = sequence; }
  Result<void> to(pipeline::Sink& sink) { return sink.deliver(records_, {journal_, next_}); }
  const std::vector<journal::Record>& records() const { return records_; }

 private:
  Uuid journal_;
  std::uint64_t next_ = 1;
  std::deque<std::string> bodies_;
  std::vector<journal::Record> records_;
};

inline std::unique_ptr<pipeline::Sink> make_test_sink(const DatabaseOptions& options,
                                                      telemetry::Registry& metrics) {
  std::vector<std::unique_ptr<RowMapper>> mappers;
  mappers.push_back(std::make_unique<WordsMapper>());
  return make_sink({.database = options, .lane = 0}, std::move(mappers), metrics);
}

/// Another program's connection, for what this one must survive or have stored.
class OtherProgram {
 public:
  explicit OtherProgram(const std::filesystem::path& path) {
    sqlite3_open(path.c_str(), &handle_);
    sqlite3_busy_timeout(handle_, 5'000);
  }
  ~OtherProgram() { sqlite3_close(handle_); }
  OtherProgram(const OtherProgram&) = delete;
  OtherProgram& operator=(const OtherProgram&) = delete;

  bool execute(const char* sql) {
    return sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) == SQLITE_OK;
  }
  /// The first column of the first row as text; "NULL" for NULL, "" for no row.
  std::string value(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    std::string text;
    if (sqlite3_prepare_v2(handle_, sql, -1, &statement, nullptr) != SQLITE_OK) {
      return sqlite3_errmsg(handle_);
    }
    if (sqlite3_step(statement) == SQLITE_ROW) {
      const auto* found = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
      text = found == nullptr ? "NULL" : found;
    }
    sqlite3_finalize(statement);
    return text;
  }

 private:
  sqlite3* handle_ = nullptr;
};

}  // namespace trialwire::storage::sqlite::test
