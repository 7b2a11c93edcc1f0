// SPDX-License-Identifier: Apache-2.0
// What the intake counts: one set of cells per shard and kind, written by that shard's thread.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "base/error.hpp"
#include "ingest/field_errors.hpp"
#include "ingest/options.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::ingest {

class IntakeMetrics {
 public:
  IntakeMetrics(telemetry::Registry& registry, std::string_view kind);

  void body(std::size_t received_bytes, std::size_t inflated_bytes, bool gzip) noexcept;
  void stored(std::uint32_t accepted, std::uint32_t duplicates, std::uint32_t conflicts) noexcept;
  void invalid(std::uint64_t records) noexcept { invalid_.add(records); }
  void errors(const FieldErrors& errors) noexcept;
  void refused(ErrorCode code, std::uint64_t records) noexcept;
  void unknown_fields(std::uint64_t fields) noexcept { unknown_fields_.add(fields); }
  void flagged() noexcept { flagged_.add(); }
  void request_records(std::uint32_t records) noexcept {
    request_records_.observe(static_cast<double>(records));
  }

 private:
  telemetry::Counter& accepted_;
  telemetry::Counter& duplicate_;
  telemetry::Counter& conflict_;
  telemetry::Counter& invalid_;
  telemetry::Counter& refused_;
  telemetry::Counter& unknown_fields_;
  telemetry::Counter& flagged_;
  telemetry::Counter& body_bytes_;
  telemetry::Counter& gzip_bytes_;
  telemetry::Counter& inflated_bytes_;
  telemetry::Histogram& request_records_;
  std::array<telemetry::Counter*, static_cast<std::size_t>(Rule::count_)> rules_{};  // null: none
  std::array<telemetry::Counter*, static_cast<std::size_t>(ErrorCode::count_)> codes_{};
};

/// The configured bounds, for a dashboard to draw beside the counters. Once per process.
void publish_limits(telemetry::Registry& registry, const IntakeOptions& options);

}  // namespace trialwire::ingest
