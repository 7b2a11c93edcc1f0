// SPDX-License-Identifier: Apache-2.0
#include "stop_signal.hpp"

#include <semaphore.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <ctime>
#include <string>

#include "base/check.hpp"
#include "exit_code.hpp"

namespace trialwire {
namespace {

enum class Phase : int { starting, serving, stopping, committed };

// A handler reaches only what is static.
std::atomic<Phase> phase{Phase::starting};
std::atomic<int> received{0};
sem_t wake;

std::array<char, PATH_MAX> file;
std::atomic<bool> removes_file{false};

// Bits of `questions`.
constexpr std::array<int, 2> asking{SIGUSR1, SIGUSR2};
std::atomic<unsigned> questions{0};

constexpr std::array<int, 5> handled{SIGTERM, SIGINT, SIGALRM, SIGUSR1, SIGUSR2};

[[noreturn]] void end_at_once(int code) {
  if (removes_file.load()) ::unlink(file.data());
  ::_exit(code);
}

void on_signal(int number) {
  int before = errno;
  Phase expected = Phase::serving;
  if (number == SIGUSR1 || number == SIGUSR2) {
    questions.fetch_or(number == asking[0] ? 1U : 2U);
    ::sem_post(&wake);
  } else if (number != SIGALRM && phase.compare_exchange_strong(expected, Phase::stopping)) {
    received.store(number);
    ::sem_post(&wake);
  } else if (number == SIGALRM) {
    constexpr char text[] = "trialwire: stopping took too long, ended\n";
    [[maybe_unused]] auto written = ::write(STDERR_FILENO, text, sizeof text - 1);
    end_at_once(phase.load() == Phase::committed ? exit_ok : exit_failed);
  } else {
    end_at_once(128 + number);
  }
  errno = before;
}

}  // namespace

StopSignal::StopSignal() {
  phase.store(Phase::starting);
  received.store(0);
  questions.store(0);
  TW_CHECK(::sem_init(&wake, 0, 0) == 0);
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (int number : handled) TW_CHECK(::sigaction(number, &action, nullptr) == 0);
  action.sa_handler = SIG_IGN;
  TW_CHECK(::sigaction(SIGPIPE, &action, nullptr) == 0);
}

StopSignal::~StopSignal() {
  itimerval off{};
  ::setitimer(ITIMER_REAL, &off, nullptr);
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (int number : handled) ::sigaction(number, &action, nullptr);
  ::sem_destroy(&wake);
}

void StopSignal::arm() noexcept {
  phase.store(Phase::serving);
}

int StopSignal::wait(const std::function<void(int)>& asked) {
  // A handler that a tool delays (sanitizers do) is not waited for for ever.
  constexpr long pause_ns = 250'000'000;
  while (received.load() == 0) {
    timespec until{};
    ::clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += pause_ns;
    until.tv_sec += until.tv_nsec / 1'000'000'000;
    until.tv_nsec %= 1'000'000'000;
    ::sem_timedwait(&wake, &until);
    const unsigned due = questions.exchange(0);
    for (std::size_t i = 0; i < asking.size() && received.load() == 0; ++i) {
      if (asked && (due >> i & 1) != 0) asked(asking[i]);
    }
  }
  return received.load();
}

void StopSignal::committed() noexcept {
  phase.store(Phase::committed);
}

void StopSignal::removes(const std::filesystem::path& path) noexcept {
  removes_file.store(false);
  const std::string& text = path.native();
  if (text.empty() || text.size() >= file.size()) return;
  *std::ranges::copy(text, file.begin()).out = '\0';
  removes_file.store(true);
}

void StopSignal::limit(std::chrono::nanoseconds time) {
  auto us = std::chrono::duration_cast<std::chrono::microseconds>(time).count() + 1;
  itimerval timer{};
  timer.it_value.tv_sec = us / 1'000'000;
  timer.it_value.tv_usec = us % 1'000'000;
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace trialwire
