// SPDX-License-Identifier: Apache-2.0
#include "telemetry/profile/profile_signal.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/check.hpp"

namespace trialwire::telemetry {
namespace {

// A handler reaches only what is static.
std::atomic<StackTaker*> of_timers{nullptr};
std::atomic<StackTaker*> of_questions{nullptr};
std::atomic<int> within{0};
std::atomic<bool> prepared{false};

void on_signal(int, siginfo_t* why, void* context) {
  const int before = errno;
  within.fetch_add(1);
  StackTaker* taker = nullptr;
  if (why->si_code == SI_TIMER) taker = of_timers.load();
  if (why->si_code == SI_TKILL && why->si_pid == ::getpid()) taker = of_questions.load();
  if (taker != nullptr) taker->take(interrupted_registers(context), *why);
  within.fetch_sub(1);
  errno = before;
}

void exchange_taker(std::atomic<StackTaker*>& place, StackTaker* taker) noexcept {
  place.store(taker);
  while (within.load() != 0) std::this_thread::yield();
}

/// The value of "SigBlk:\t0000000000000000" in /proc/self/task/ID/status.
bool blocks(const std::filesystem::path& task) {
  std::ifstream status(task / "status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("SigBlk:")) continue;
    const std::size_t at = line.find_first_not_of(" \t", 7);
    if (at == std::string::npos) return false;
    std::uint64_t mask = 0;
    std::from_chars(line.data() + at, line.data() + line.size(), mask, 16);
    return (mask >> (profile_signal - 1) & 1) != 0;
  }
  return false;
}

}  // namespace

void prepare_profile_signal() {
  if (prepared.exchange(true)) return;
  prepare_stack_walks();
  struct sigaction action{};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_RESTART | SA_SIGINFO | SA_ONSTACK;
  ::sigfillset(&action.sa_mask);
  TW_CHECK(::sigaction(profile_signal, &action, nullptr) == 0);
}

void on_profile_timer(StackTaker* taker) noexcept {
  exchange_taker(of_timers, taker);
}

void on_profile_question(StackTaker* taker) noexcept {
  exchange_taker(of_questions, taker);
}

std::vector<ThreadName> list_threads() {
  std::vector<ThreadName> threads;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", error)) {
    const std::string id = entry.path().filename();
    ThreadName thread;
    std::from_chars(id.data(), id.data() + id.size(), thread.id);
    std::ifstream comm(entry.path() / "comm");
    if (!std::getline(comm, thread.name)) continue;  // it has ended
    thread.blocks_signal = blocks(entry.path());
    threads.push_back(std::move(thread));
  }
  std::ranges::sort(threads, {}, &ThreadName::id);
  return threads;
}

}  // namespace trialwire::telemetry
