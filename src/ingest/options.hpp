// SPDX-License-Identifier: Apache-2.0
// Bounds of the intake that hold for every kind of record. Those of a kind's own fields are with
// the kind.
#pragma once
#include <cstddef>
#include <cstdint>

namespace trialwire::ingest {

enum class UnknownFields : std::uint8_t { keep, refuse };

/// Reading nested values recurses: no setting goes beyond this.
constexpr std::uint32_t json_depth_limit = 1'024;

struct IntakeOptions {
  std::size_t inflated_bytes_max = 8 << 20;             // of a gzip body, after inflation: 413
  std::size_t inflate_buffer_retained_bytes = 1 << 20;  // a shard gives back what is above
  std::uint32_t records_max = 10'000;                   // of one request: 413
  std::size_t record_bytes_max = 8 << 20;               // of one record, as it was sent
  std::uint32_t errors_max = 100;                       // listed in one answer; all are counted
  std::uint32_t json_depth_max = 64;                    // levels of objects and arrays
  std::uint32_t object_fields_max = 1'000;              // members of one record
  UnknownFields unknown_fields = UnknownFields::keep;
};

}  // namespace trialwire::ingest
