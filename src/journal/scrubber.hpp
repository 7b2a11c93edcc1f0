// SPDX-License-Identifier: Apache-2.0
// Reads sealed segments again and again, slowly, to find what a disk has lost while there is still
// another copy of it. One thread of the lowest priority; reads at most so many bytes a second;
// every damaged segment is reported once a pass.
#pragma once
#include <chrono>
#include <functional>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "journal/inspection.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::journal {

struct ScrubOptions {
  std::filesystem::path directory;
  Uuid journal;
  std::uint64_t segment_bytes = 0;
  bool direct = false;
  std::size_t bytes_per_second = 8 << 20;
  std::chrono::seconds pause{3600};
};

/// Reads one sealed segment whole and compares it with what is known of it. Errors: corrupt (file
/// and offset named), not_found (deleted meanwhile), io, cancelled.
Result<void> scrub_segment(FileLayer& files, const ScrubOptions& options, std::span<const Gap> gaps,
                           const SealedSegment& segment, const std::stop_token& stop);

class Scrubber {
 public:
  struct Source {
    std::function<std::vector<SealedSegment>()> sealed;
    std::function<void(const Error&)> corrupt;
  };
  Scrubber(FileLayer& files, ScrubOptions options, std::vector<Gap> gaps, Source source,
           telemetry::Registry& metrics);
  /// Stops and joins.
  ~Scrubber() = default;

 private:
  void run(const std::stop_token& stop);

  FileLayer& files_;
  ScrubOptions options_;
  std::vector<Gap> gaps_;
  Source source_;
  telemetry::Counter& bytes_;
  telemetry::Counter& corruptions_;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace trialwire::journal
