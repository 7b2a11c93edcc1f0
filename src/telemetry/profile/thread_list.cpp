// SPDX-License-Identifier: Apache-2.0
#include "telemetry/profile/thread_list.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <mutex>
#include <sstream>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "telemetry/profile/profile_signal.hpp"

namespace trialwire::telemetry {
namespace {

/// The one answer that is waited for. A thread answers only when it is the one that is wanted: who
/// comes late finds another wanted, or none.
class Answer final : public StackTaker {
 public:
  void want(pid_t thread) noexcept {
    done_.store(false);
    wanted_.store(thread);
  }
  void take(const Registers& at, const siginfo_t&) noexcept override {
    auto self = static_cast<pid_t>(::syscall(SYS_gettid));
    if (!wanted_.compare_exchange_strong(self, 0)) return;
    count_ = walk_stack(at, frames_);
    done_.store(true, std::memory_order_release);
  }
  bool done() const noexcept { return done_.load(std::memory_order_acquire); }
  /// True: nobody will write here any more. False: it is being written.
  bool give_up(pid_t thread) noexcept { return wanted_.compare_exchange_strong(thread, 0); }
  std::vector<std::uintptr_t> frames() const {
    return {frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(count_)};
  }

 private:
  std::atomic<pid_t> wanted_{0};
  std::atomic<bool> done_{false};
  std::size_t count_ = 0;
  Frames frames_{};
};

std::vector<std::uintptr_t> ask(Answer& answer, pid_t thread, std::chrono::milliseconds patience) {
  answer.want(thread);
  if (::syscall(SYS_tgkill, ::getpid(), thread, profile_signal) != 0) {
    answer.give_up(thread);
    return {};
  }
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!answer.done()) {
    if (std::chrono::steady_clock::now() > end && answer.give_up(thread)) return {};
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return answer.frames();
}

/// State and CPU time of /proc/self/task/ID/stat: fields 3, 14 and 15, behind a name in brackets
/// that may hold anything.
void read_stat(ListedThread& thread) {
  std::ifstream file(fmt::format("/proc/self/task/{}/stat", thread.id));
  std::string line;
  std::getline(file, line);
  const std::size_t end = line.rfind(')');
  if (end == std::string::npos) return;
  std::istringstream fields(line.substr(end + 1));
  std::string skipped;
  double user = 0;
  double system = 0;
  fields >> thread.state;
  for (int field = 4; field < 14; ++field) fields >> skipped;
  fields >> user >> system;
  thread.cpu_seconds = (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::string_view meaning(char state) {
  switch (state) {
    case 'R':
      return "running";
    case 'S':
      return "sleeping";
    case 'D':
      return "waits for the disk";
    case 'T':
    case 't':
      return "stopped";
    default:
      return "ending";
  }
}

}  // namespace

std::vector<ListedThread> list_thread_stacks(std::chrono::milliseconds patience) {
  static std::mutex one_at_a_time;
  const std::scoped_lock lock(one_at_a_time);
  prepare_profile_signal();
  Answer answer;
  on_profile_question(&answer);
  std::vector<ListedThread> threads;
  for (ThreadName& found : list_threads()) {
    ListedThread thread{.id = found.id, .name = std::move(found.name)};
    thread.takes_signals = !found.blocks_signal;
    read_stat(thread);  // before it is woken
    if (thread.takes_signals) thread.frames = ask(answer, thread.id, patience);
    threads.push_back(std::move(thread));
  }
  on_profile_question(nullptr);
  return threads;
}

std::string thread_list_text(const std::vector<ListedThread>& threads, Symbols& symbols) {
  std::string text;
  auto out = std::back_inserter(text);
  for (const ListedThread& thread : threads) {
    fmt::format_to(out, "{} {} {}, {:.2f} s of CPU\n", thread.id, thread.name,
                   meaning(thread.state), thread.cpu_seconds);
    if (!thread.takes_signals) text += "    (takes no signals)\n";
    if (thread.takes_signals && thread.frames.empty()) text += "    (did not answer)\n";
    for (std::size_t i = 0; i < thread.frames.size(); ++i) {
      const std::uintptr_t address = thread.frames[i] - (i == 0 ? 0 : 1);
      if (symbols.mapping_of(address)) fmt::format_to(out, "    {}\n", symbols.name(address));
    }
    text += '\n';
  }
  return text;
}

}  // namespace trialwire::telemetry
