// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/interrupt.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace trialwire::storage {

Interrupt::Interrupt() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Interrupt::~Interrupt() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Interrupt::raise() noexcept {
  std::uint64_t one = 1;
  // It fails only when it is raised so often that the counter is full: it is raised.
  [[maybe_unused]] auto ignored = ::write(descriptor_, &one, sizeof one);
}

bool Interrupt::raised() const noexcept {
  pollfd asked{.fd = descriptor_, .events = POLLIN, .revents = 0};
  return ::poll(&asked, 1, 0) > 0;
}

}  // namespace trialwire::storage
