// SPDX-License-Identifier: Apache-2.0
// The intake of patients' reports, on its four paths. One object for the process, made at start;
// it outlives the server whose router refers to it (intake_routes.hpp). Each shard has its own part
// of it, so that shards share nothing but what never changes.
#pragma once
#include <array>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "epro/report_limits.hpp"
#include "ingest/intake.hpp"
#include "ingest/kind_intake.hpp"
#include "ingest/options.hpp"
#include "journal/appender.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::epro {

struct ReportIntakeOptions {
  ingest::IntakeOptions intake;
  ReportLimits report;
};

class ReportIntake {
 public:
  /// /v1/epro/reports, /v1/patient/report, /epro/submit, /submit.
  static constexpr std::size_t path_count = 4;
  static std::span<const std::string_view, path_count> paths() noexcept;

  /// `shards` outlive the intake.
  ReportIntake(const ReportLimits& limits, ingest::IntakeShards& shards,
               telemetry::Registry& registry);
  /// With shards of its own; `appenders[i]` is the one of the shard whose index is i.
  ReportIntake(const ReportIntakeOptions& options, std::span<journal::Appender* const> appenders,
               telemetry::Registry& registry);
  ~ReportIntake();
  ReportIntake(const ReportIntake&) = delete;
  ReportIntake& operator=(const ReportIntake&) = delete;

  /// The intake of `paths()[path]` on a shard, for that shard's thread.
  ingest::Intake& intake(std::size_t shard, std::size_t path) noexcept;

 private:
  struct PerShard;
  void add_shards(ingest::IntakeShards& shards, telemetry::Registry& registry);

  std::unique_ptr<ingest::IntakeShards> own_shards_;  // may be null
  std::unique_ptr<ingest::KindDecoder> report_decoder_;
  std::unique_ptr<ingest::KindDecoder> legacy_decoder_;
  std::vector<std::unique_ptr<PerShard>> shards_;
};

}  // namespace trialwire::epro
