// SPDX-License-Identifier: Apache-2.0
#include "pipeline/give_way.hpp"

#include <algorithm>

namespace trialwire::pipeline {

bool GiveWay::contended(const ProcessorTime& spent) const noexcept {
  const auto wanted = std::max(spent.ran + spent.waited, options_.judged_time);
  return static_cast<double>(spent.waited.count()) >
         options_.waiting_share * static_cast<double>(wanted.count());
}

bool GiveWay::has_reason(const Intake& intake) const noexcept {
  const bool pressed = intake.backlog.blocked || intake.backlog.bytes > options_.backlog_bytes_max;
  const auto lag_max =
      intake.sink_keeps_up ? std::min(options_.lag_in_pace, options_.lag_max) : options_.lag_max;
  return intake.appended > 0 && !pressed && intake.lag <= lag_max;
}

void GiveWay::batch_done(const ProcessorTime& spent, const Intake& intake) noexcept {
  if (!contended(spent) || !has_reason(intake)) {
    pause_ = {};
    return;
  }
  const auto next = gives_way() ? 2 * pause_ : options_.pause_first;
  pause_ = std::min(next, options_.pause_max);
}

bool GiveWay::goes_on(const Intake& intake) noexcept {
  if (!has_reason(intake)) pause_ = {};
  return gives_way();
}

}  // namespace trialwire::pipeline
