// SPDX-License-Identifier: Apache-2.0
#include "pipeline/processor_time.hpp"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>

namespace trialwire::pipeline {

std::optional<ProcessorTime> parse_schedstat(std::string_view line) noexcept {
  std::int64_t ran = 0;
  std::int64_t waited = 0;
  const char* end = line.data() + line.size();
  auto [after_ran, ran_error] = std::from_chars(line.data(), end, ran);
  if (ran_error != std::errc{} || after_ran == end || *after_ran != ' ') return std::nullopt;
  auto [after_waited, waited_error] = std::from_chars(after_ran + 1, end, waited);
  if (waited_error != std::errc{} || after_waited == end || *after_waited != ' ') {
    return std::nullopt;
  }
  if (ran < 0 || waited < 0) return std::nullopt;
  return ProcessorTime{std::chrono::nanoseconds(ran), std::chrono::nanoseconds(waited)};
}

ProcessorClock::ProcessorClock() noexcept
    : file_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}

ProcessorClock::~ProcessorClock() {
  if (file_ >= 0) ::close(file_);
}

std::optional<ProcessorTime> ProcessorClock::read() const noexcept {
  if (file_ < 0) return std::nullopt;
  std::array<char, 96> text{};
  ssize_t size = ::pread(file_, text.data(), text.size(), 0);
  if (size <= 0) return std::nullopt;
  auto time = parse_schedstat({text.data(), static_cast<std::size_t>(size)});
  // The file's time on the processor is that of the last tick; this clock's is of now.
  timespec now{};
  if (time && ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0) {
    time->ran = std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  }
  return time;
}

}  // namespace trialwire::pipeline
