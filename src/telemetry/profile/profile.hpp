// SPDX-License-Identifier: Apache-2.0
// What a profile is before it is written in one form or another: stacks, and what was counted.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace trialwire::telemetry {

enum class ProfileKind : std::uint8_t { cpu, heap };

struct ProfileSample {
  /// The innermost first; all but the first are return addresses (of a heap profile all). Empty:
  /// the thread takes no signals, and only its processor time is known.
  std::vector<std::uintptr_t> frames;
  std::string thread;             // name; of a heap profile empty
  std::int64_t count = 0;         // samples; or objects in use
  std::int64_t amount = 0;        // nanoseconds of CPU; or their bytes
  std::int64_t count_total = 0;   // of a heap profile: objects ever allocated
  std::int64_t amount_total = 0;  // and their bytes
};

struct Profile {
  ProfileKind kind = ProfileKind::cpu;
  std::int64_t began_unix_ns = 0;
  std::int64_t duration_ns = 0;
  std::int64_t period = 0;  // nanoseconds of CPU between samples; bytes between sampled allocations
  std::vector<ProfileSample> samples;  // as sampled: a heap profile's are not scaled up
  std::uint64_t lost = 0;              // samples that found no room
};

/// What a heap profile's sample stands for: `count` objects of `amount` bytes were met by a point
/// process of one point per `period` bytes, so each stands for 1 / (1 - exp(-size / period)).
struct Estimate {
  std::int64_t count = 0;
  std::int64_t amount = 0;
};
Estimate estimate(std::int64_t count, std::int64_t amount, std::int64_t period) noexcept;

}  // namespace trialwire::telemetry
