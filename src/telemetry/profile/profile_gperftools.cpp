// SPDX-License-Identifier: Apache-2.0
#include <iterator>

#include <fmt/format.h>

#include "telemetry/profile/profile_forms.hpp"

namespace trialwire::telemetry {
namespace {

void append_word(std::string& to, std::uint64_t value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);  // little-endian, as the machine
}

/// Header {0, 3, 0, period in us, 0}, a stack {samples, depth, addresses}, end {0, 1, 0}
/// (gperftools, doc/cpuprofile-fileformat.html).
std::string cpu_words(const Profile& profile, const Symbols& symbols) {
  std::string text;
  const auto period_us = static_cast<std::uint64_t>(profile.period / 1'000);
  for (const std::uint64_t value :
       {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{0}, period_us, std::uint64_t{0}})
    append_word(text, value);
  for (const ProfileSample& sample : profile.samples) {
    if (sample.frames.empty()) continue;
    append_word(text, static_cast<std::uint64_t>(sample.count));
    append_word(text, sample.frames.size());
    for (const std::uintptr_t frame : sample.frames) append_word(text, frame);
  }
  for (const std::uint64_t value : {0, 1, 0}) append_word(text, value);
  return text + symbols.maps();
}

std::string heap_text(const Profile& profile, const Symbols& symbols) {
  ProfileSample sum;
  for (const ProfileSample& sample : profile.samples) {
    sum.count += sample.count;
    sum.amount += sample.amount;
    sum.count_total += sample.count_total;
    sum.amount_total += sample.amount_total;
  }
  auto line = [](std::string& to, const ProfileSample& sample) {
    fmt::format_to(std::back_inserter(to), "{}: {} [{}: {}] @", sample.count, sample.amount,
                   sample.count_total, sample.amount_total);
  };
  std::string text = "heap profile: ";
  line(text, sum);
  fmt::format_to(std::back_inserter(text), " heap_v2/{}\n", profile.period);
  for (const ProfileSample& sample : profile.samples) {
    line(text, sample);
    for (const std::uintptr_t frame : sample.frames)
      fmt::format_to(std::back_inserter(text), " {:#x}", frame);
    text += '\n';
  }
  text += "\nMAPPED_LIBRARIES:\n";
  return text + symbols.maps();
}

}  // namespace

std::string profile_gperftools(const Profile& profile, const Symbols& symbols) {
  return profile.kind == ProfileKind::cpu ? cpu_words(profile, symbols)
                                          : heap_text(profile, symbols);
}

}  // namespace trialwire::telemetry
