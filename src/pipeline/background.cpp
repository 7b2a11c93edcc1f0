// SPDX-License-Identifier: Apache-2.0
#include "pipeline/background.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace trialwire::pipeline {
namespace {

// From linux/ioprio.h. Not the idle class: under a busy disk it may never be served at all.
constexpr int ioprio_who_process = 1;
constexpr int ioprio_normal = (2 << 13) | 4;
constexpr int ioprio_lowest_best_effort = (2 << 13) | 7;

}  // namespace

bool enter_background() noexcept {
  auto thread = static_cast<id_t>(::syscall(SYS_gettid));
  bool nice = ::setpriority(PRIO_PROCESS, thread, 19) == 0;
  sched_param none{};
  bool idle = ::sched_setscheduler(static_cast<pid_t>(thread), SCHED_IDLE, &none) == 0;
  bool disk = ::syscall(SYS_ioprio_set, ioprio_who_process, 0, ioprio_lowest_best_effort) == 0;
  return nice && idle && disk;
}

bool leave_background(int thread) noexcept {
  sched_param none{};
  bool normal = ::sched_setscheduler(thread, SCHED_OTHER, &none) == 0;
  bool nice = ::setpriority(PRIO_PROCESS, static_cast<id_t>(thread), 0) == 0;
  bool disk = ::syscall(SYS_ioprio_set, ioprio_who_process, thread, ioprio_normal) == 0;
  return normal && nice && disk;
}

}  // namespace trialwire::pipeline
