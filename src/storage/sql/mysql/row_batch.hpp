// SPDX-License-Identifier: Apache-2.0
// Rows of one table on their way to the server: collected value by value, sent many at once.
//
// Two implementations. InsertWriter writes statements as text, for any server; a row that is there
// already changes nothing. BulkWriter binds arrays to a prepared statement, which MariaDB takes in
// two thirds of the time; a row that is there already fails it. Each is of one connection, which
// outlives it, and used by one thread; nothing allocates once its buffers are warm.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/uuid.hpp"
#include "storage/sql/interrupt.hpp"

namespace trialwire::storage::mysql {

class Connection;

/// A batch is full before a row that would make it longer than `batch_bytes`. A row that is longer
/// by itself has one to itself, up to `packet_bytes`: what the server takes.
struct BatchLimits {
  std::size_t batch_bytes = 1 << 20;
  std::size_t packet_bytes = 16 << 20;
};

class RowBatch {
 public:
  virtual ~RowBatch() = default;

  // One value for each column, in order, between begin_row and end_row.
  virtual void begin_row() = 0;
  virtual void null() = 0;
  virtual void integer(std::int64_t value) = 0;
  virtual void real(double value) = 0;  // finite
  virtual void text(std::string_view value) = 0;
  virtual void bytes(ByteView value) = 0;
  virtual void uuid(const Uuid& value) = 0;

  enum class Row : std::uint8_t { added, batch_full, too_large };
  /// batch_full: send what there is, then end the row again. too_large: longer than a packet.
  virtual Row end_row() = 0;
  /// What the row at hand takes by itself.
  virtual std::size_t row_bytes() const noexcept = 0;

  /// Added and not sent.
  virtual std::size_t rows() const noexcept = 0;
  /// Inserts them, and has none then. How many rows that made; the others were there. There must
  /// be some.
  virtual Result<std::uint64_t> send(Connection& connection, std::string_view doing,
                                     const Patience& patience) = 0;
  /// Forgets rows that were not sent.
  virtual void clear() = 0;
};

}  // namespace trialwire::storage::mysql
