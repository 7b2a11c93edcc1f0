// SPDX-License-Identifier: Apache-2.0
#include "sink_progress.hpp"

#include <fmt/format.h>

namespace trialwire {

ReadinessCheck SinkProgress::check(std::uint64_t at, std::uint64_t end, Time now,
                                   std::string_view trouble) {
  bool unanswered = at == 0;
  if (at != seen_ || (!unanswered && at >= end && trouble.empty())) {
    seen_ = at;
    moved_ = now;
  }
  ReadinessCheck check{"sink", true, false, ""};
  check.ok = now - moved_ < (unanswered ? answer_patience : move_patience);
  check.detail =
      unanswered ? "it has not answered yet" : fmt::format("lag {}", end > at ? end - at : 0);
  if (!trouble.empty()) check.detail += fmt::format(": {}", trouble);
  return check;
}

}  // namespace trialwire
