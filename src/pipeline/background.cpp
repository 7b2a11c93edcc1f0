// SPDX-License-Identifier: Apache-2.0
#include "pipeline/background.hpp"

#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace trialwire::pipeline {
namespace {

// From linux/ioprio.h. Not the idle class: under a busy disk it may never be served at all.
constexpr int ioprio_who_process = 1;
constexpr int nice_for_good = 10;
constexpr rlim_t nice_limit_of_normal = 20;  // allows nice 0
constexpr int ioprio_normal = (2 << 13) | 4;
constexpr int ioprio_lowest_best_effort = (2 << 13) | 7;

}  // namespace

bool enter_background() noexcept {
  auto thread = static_cast<id_t>(::syscall(SYS_gettid));
  bool undone = may_leave_background();
  bool nice = ::setpriority(PRIO_PROCESS, thread, undone ? 19 : nice_for_good) == 0;
  sched_param none{};
  bool idle = !undone || ::sched_setscheduler(static_cast<pid_t>(thread), SCHED_IDLE, &none) == 0;
  bool disk = ::syscall(SYS_ioprio_set, ioprio_who_process, 0, ioprio_lowest_best_effort) == 0;
  return nice && idle && disk;
}

bool may_leave_background() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NICE, &limit) == 0 && limit.rlim_cur >= nice_limit_of_normal) return true;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> held{};
  if (::syscall(SYS_capget, &header, held.data()) != 0) return false;
  return (held[CAP_TO_INDEX(CAP_SYS_NICE)].effective & CAP_TO_MASK(CAP_SYS_NICE)) != 0;
}

bool leave_background(int thread) noexcept {
  sched_param none{};
  bool normal = ::sched_setscheduler(thread, SCHED_OTHER, &none) == 0;
  bool nice = ::setpriority(PRIO_PROCESS, static_cast<id_t>(thread),
                            ::getpriority(PRIO_PROCESS, static_cast<id_t>(::getpid()))) == 0;
  bool disk = ::syscall(SYS_ioprio_set, ioprio_who_process, thread, ioprio_normal) == 0;
  return normal && nice && disk;
}

}  // namespace trialwire::pipeline
