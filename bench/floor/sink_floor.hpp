// SPDX-License-Identifier: Apache-2.0
// What the floors of the sinks share: a table's rows in memory, and how they are measured.
#pragma once
#include <chrono>
#include <cstddef>
#include <string>

namespace trialwire::floor {

struct Shape {
  std::size_t statement_rows = 100;        // of one INSERT
  std::size_t transaction_rows = 16'384;   // as a sink's that lags
  std::size_t rows_max = ~std::size_t{0};  // of each table
};

struct Result {
  std::size_t rows = 0;  // of the record table
  double seconds = 0;
};

inline double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Copies table `epro_reports` and its identities from a file that trialwire filled into a new one
/// with the same schema and the same durability. Ends the process when something fails.
Result sqlite_floor(const std::string& source, const std::string& target, const Shape& shape);

struct MysqlAddress {
  std::string host;
  unsigned port = 0;
  std::string user;
  std::string password;
};

/// The same in one server, from one database into another one that has the empty table.
Result mysql_floor(const MysqlAddress& address, const std::string& source,
                   const std::string& target, const Shape& shape);

}  // namespace trialwire::floor
