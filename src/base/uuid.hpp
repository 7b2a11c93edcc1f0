// SPDX-License-Identifier: Apache-2.0
// 128-bit identifiers in the text form of RFC 9562.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trialwire {

struct Uuid {
  static constexpr std::size_t text_size = 36;
  std::array<std::uint8_t, 16> bytes{};

  /// Version 4, from the operating system's random source.
  static Uuid random();
  /// Exactly 8-4-4-4-12 hexadecimal digits, either case.
  static std::optional<Uuid> parse(std::string_view text) noexcept;
  /// Writes exactly `text_size` lower-case characters, no terminator.
  void write(char* to) const noexcept;
  std::string text() const;

  friend bool operator==(const Uuid&, const Uuid&) = default;
  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

/// What a record's id is derived from.
struct RecordOrigin {
  Uuid journal;
  std::uint32_t epoch = 0;
  std::uint64_t sequence = 0;
  std::int64_t received_ns = 0;  // since the Unix epoch
};

/// The record's id: a UUID of version 8 (RFC 9562 §5.8) that sorts by time of receipt.
///   48 bits  milliseconds of the time of receipt
///   12 bits  hash of journal and epoch
///   62 bits  sequence + hash of the journal, modulo 2^62: distinct within a journal
/// Deterministic: the same record has the same id whoever derives it.
Uuid record_id(const RecordOrigin& origin) noexcept;

}  // namespace trialwire
