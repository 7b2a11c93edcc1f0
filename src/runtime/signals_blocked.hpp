// SPDX-License-Identifier: Apache-2.0
// While it lives, this thread takes no signal, nor does a thread that it starts ever: signals are
// the control thread's. But for SIGPROF, by which telemetry/profile asks a thread where it is: one
// that blocked it would be missing in every profile and list of threads.
#pragma once
#include <pthread.h>

#include <csignal>

namespace trialwire::runtime {

class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGPROF);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace trialwire::runtime
