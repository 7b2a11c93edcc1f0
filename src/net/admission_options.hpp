// SPDX-License-Identifier: Apache-2.0
// What bounds admission (admission.hpp). A plain value; everything is off by default.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace trialwire::net {

struct RateOptions {
  std::uint64_t per_second = 0;  // 0: no limit
  std::uint64_t burst = 120;
};

/// Of the routes at a path and below it, in place of, or beside, what holds for all. 0: nothing.
struct RouteLimitOptions {
  std::string prefix;  // "/v1/imaging"; "/" is all
  RateOptions address;
  std::size_t concurrent_max = 0;
  std::chrono::milliseconds deadline{0};  // at most the server's
  std::size_t body_bytes_max = 0;
};

struct AdmissionOptions {
  RateOptions address;
  RateOptions all;
  std::size_t buckets_max = 65'536;            // addresses that are told apart
  unsigned ipv6_prefix = 64;                   // bits of an IPv6 address that are one client
  std::size_t concurrent_max = 0;              // requests under way, of all shards; 0: no limit
  std::size_t queued_max = 0;                  // of `queued`; 0: no limit
  double cpu_threshold = 1'000;                // per mille; 1,000: no shedding by load
  std::uint32_t waiting_min = 1;               // of a shard: never shed by load
  std::chrono::nanoseconds loop_lag_max{0};    // 0: no limit
  std::chrono::nanoseconds commit_age_max{0};  // 0: no limit
  /// RouteOptions::limit says which is a route's (Router::limit).
  std::vector<RouteLimitOptions> routes;

  // Who knows; empty: 0. Called on the shards' threads.
  std::function<double()> cpu;          // per mille
  std::function<std::size_t()> queued;  // waiting for a worker
  std::function<std::int64_t(unsigned shard, std::int64_t now_ns)> commit_age_ns;
  // How many more of intake are committed within commit_age_max; empty: any number.
  std::function<std::uint64_t(unsigned shard, std::int64_t now_ns)> commit_room;
};

}  // namespace trialwire::net
