// SPDX-License-Identifier: Apache-2.0
// Every path that takes records in, on one shard, as the server has them.
#pragma once
#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "epro/report_intake.hpp"
#include "ingest/kind_intake.hpp"
#include "qol/qol_intake.hpp"
#include "telemetry/metrics.hpp"
#include "trial/metric_intake.hpp"
#include "vitals/vital_intake.hpp"

namespace trialwire::testing {

class IntakePaths {
 public:
  IntakePaths(const epro::ReportIntakeOptions& options, journal::Appender& appender)
      : appender_{&appender},
        shards_(options.intake, appender_),
        reports_(options.report, shards_, registry_) {
    kinds_.push_back(qol::make_intake({}, shards_, registry_));
    kinds_.push_back(vitals::make_intake({}, shards_, registry_));
    kinds_.push_back(trial::make_intake({}, shards_, registry_));
    for (std::size_t i = 0; i < epro::ReportIntake::path_count; ++i) {
      all_.push_back({epro::ReportIntake::paths()[i], &reports_.intake(0, i)});
    }
    for (const auto& kind : kinds_) {
      for (std::size_t i = 0; i < kind->paths().size(); ++i) {
        all_.push_back({kind->paths()[i].path, &kind->intake(0, i)});
      }
    }
  }

  std::size_t size() const noexcept { return all_.size(); }
  ingest::Intake& operator[](std::size_t index) noexcept { return *all_[index].intake; }
  /// Null when there is no such path.
  ingest::Intake* find(std::string_view path) noexcept {
    auto found = std::ranges::find(all_, path, &Entry::path);
    return found == all_.end() ? nullptr : found->intake;
  }

 private:
  struct Entry {
    std::string_view path;
    ingest::Intake* intake;
  };
  journal::Appender* appender_[1];
  telemetry::Registry registry_;
  ingest::IntakeShards shards_;
  epro::ReportIntake reports_;
  std::vector<std::unique_ptr<ingest::KindIntake>> kinds_;
  std::vector<Entry> all_;
};

}  // namespace trialwire::testing
