// SPDX-License-Identifier: Apache-2.0
// Which of several endpoints a call goes to (p2c_ewma): of two that are drawn at random the one
// with the lower
//
//   load = sqrt(latency_ns + 1) · (in_flight + 1)
//
// latency_ns is a moving average that forgets by time: an answer that comes T ns after the last one
// and took L makes it  old · w + L · (1 - w)  with  w = exp(-T / 10 s). So does `success` of 1 and
// 0. Handled apart:
//   - an endpoint is unhealthy while success is 0.5 or less: two are drawn up to three times until
//     both are healthy, and of the two the healthy one goes first whatever its load;
//   - the other one is taken all the same when it has not been for 1 s: else nobody would ever find
//     out that it is well again, or fast;
//   - one whose latency is not known has load 1 while nothing is under way there, so it is tried
//     at once; until its first answer it counts as one of 1 s, so that not all go there.
//
// Example: 1 ms and nothing under way: sqrt(10^6 + 1) · 1 = 1,000; 0.25 ms and two under way:
// 500 · 3 = 1,500. The first is taken.
//
// Pure: time and chance are passed in; one thread. Nothing allocates.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace trialwire::resilience {

/// What is known of one endpoint.
struct EndpointState {
  double latency_ns = 0;  // moving average; only once `known`
  double success = 1;     // moving average, 0 to 1
  std::uint32_t in_flight = 0;
  bool known = false;
  std::int64_t picked_ns = 0;    // last
  std::int64_t answered_ns = 0;  // last
};

double load_of(const EndpointState& endpoint) noexcept;
bool is_healthy(const EndpointState& endpoint) noexcept;

/// Which of two is taken, `a` when they are equal; notes when it was.
std::size_t choose_of_two(std::span<EndpointState* const> endpoints, std::size_t a, std::size_t b,
                          std::int64_t now_ns) noexcept;

/// Of at least one endpoint. `below(n)` gives a number from 0 to n - 1, each as likely. What was
/// chosen is called: `begin`, then `end` once.
template <typename Below>
std::size_t choose(std::span<EndpointState* const> endpoints, std::int64_t now_ns, Below below) {
  constexpr int draws_max = 3;
  if (endpoints.size() == 1) return choose_of_two(endpoints, 0, 0, now_ns);
  std::size_t a = 0, b = 1;
  for (int draw = 0; draw < draws_max && endpoints.size() > 2; ++draw) {
    a = below(endpoints.size());
    b = below(endpoints.size() - 1);
    if (b >= a) ++b;
    if (is_healthy(*endpoints[a]) && is_healthy(*endpoints[b])) break;
  }
  return choose_of_two(endpoints, a, b, now_ns);
}

void begin(EndpointState& endpoint) noexcept;
/// It answered, or did not: after so long.
void end(EndpointState& endpoint, std::int64_t now_ns, std::int64_t took_ns, bool well) noexcept;
/// It says nothing of the endpoint: the call was cancelled.
void withdraw(EndpointState& endpoint) noexcept;

}  // namespace trialwire::resilience
