// SPDX-License-Identifier: Apache-2.0
// Replaces operator new by one that counts. Included by one file of a program, and not under
// ThreadSanitizer, whose own operator new cannot be replaced.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "ingest/intake.hpp"
#include "support/fake_appender.hpp"
#include "support/fake_exchange.hpp"

namespace trialwire::testing {
inline std::atomic<std::size_t> allocations{0};
}

void* operator new(std::size_t size) {
  ++trialwire::testing::allocations;
  if (void* place = std::malloc(size == 0 ? 1 : size)) return place;
  throw std::bad_alloc();
}
void operator delete(void* place) noexcept {
  std::free(place);
}
void operator delete(void* place, std::size_t) noexcept {
  std::free(place);
}

namespace trialwire::testing {

/// Allocations of the last of a few equal requests; `status` is that of its answer.
inline std::size_t allocations_when_warm(ingest::Intake& intake, FakeAppender& appender,
                                         const FakeRequest& request, int& status) {
  constexpr std::int64_t now_ns = 1'772'366'400'000'000'000;
  appender.keep_records = false;
  FakeExchange exchange;
  std::size_t during = 0;
  for (int i = 0; i < 5; ++i) {
    exchange.begin(request);
    std::size_t before = allocations.load();
    exchange.run([&](net::Exchange& one) { intake.handle(one, now_ns); });
    appender.commit();
    status = exchange.response().status;
    during = allocations.load() - before;
  }
  return during;
}

}  // namespace trialwire::testing
