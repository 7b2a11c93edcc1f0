// SPDX-License-Identifier: Apache-2.0
// PostgreSQL's binary COPY format (its manual, "COPY", Binary Format), written into one buffer that
// is sent piece by piece. Owned by one thread; the buffer only grows, and is kept.
//
//   header   "PGCOPY\n" 0xff "\r\n" 0x00 · int32 flags, 0 · int32 bytes of extension, 0
//   row      int16 number of fields, then each: int32 bytes of value, then them; -1: NULL
//   trailer  int16 -1
// All numbers are big-endian. A row of (7::bigint, NULL, 'ab'::text), 28 bytes:
//   0003  00000008 0000000000000007  ffffffff  00000002 6162
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/uuid.hpp"

namespace trialwire::storage::postgres {

class CopyEncoder {
 public:
  void header();
  void trailer();
  /// Exactly so many of the following calls make the row.
  void row(std::int16_t fields);

  void null();
  void integer(std::int64_t value);  // bigint
  void real(double value);           // double precision
  void text(std::string_view value);
  void bytes(ByteView value);  // bytea
  void uuid(const Uuid& value);

  /// What was written since the last `clear`; until the next call.
  ByteView view() const noexcept { return ByteView(buffer_).first(used_); }
  std::size_t size() const noexcept { return used_; }
  void clear() noexcept { used_ = 0; }
  /// Back to an earlier size: what was written after it is taken back.
  void truncate(std::size_t size) noexcept;

 private:
  std::byte* grow(std::size_t bytes);
  void field(const void* data, std::size_t size);

  std::vector<std::byte> buffer_;
  std::size_t used_ = 0;
};

}  // namespace trialwire::storage::postgres
