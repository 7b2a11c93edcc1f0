// SPDX-License-Identifier: Apache-2.0
// The counters of one listener on one shard, and its lines in the log. Cells of a (route, method,
// status) are asked for when the first such answer is given; after that counting is a short search
// in an array.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "net/http.hpp"
#include "net/router.hpp"
#include "net/server.hpp"
#include "net/timeouts.hpp"
#include "resilience/token_bucket.hpp"
#include "telemetry/metrics.hpp"
#include "telemetry/trace/tracer.hpp"

namespace trialwire::net {

class HttpMetrics {
 public:
  HttpMetrics(telemetry::Registry& registry, std::string server, std::size_t routes,
              const RequestLog& log = {});

  /// Null route: nothing is at that path. For a method that the path does not have, any of its own.
  /// Null trace: it is not traced.
  void answered(const Route* route, Method method, Status status, double seconds,
                const telemetry::RequestTrace* trace = nullptr);
  /// A request that was refused before it had a route.
  void refused(Status status);
  void timed_out(Timeout kind) noexcept { timeouts_[static_cast<std::size_t>(kind)]->add(); }

  telemetry::Counter& accepted;
  telemetry::Counter& turned_away;  // over the limit of connections
  telemetry::Counter& bytes_in;
  telemetry::Counter& bytes_out;
  telemetry::Counter& handler_exceptions;
  telemetry::Counter& tls_handshakes;
  telemetry::Counter& tls_handshakes_failed;
  telemetry::Gauge& open;
  telemetry::Gauge& partial_bytes;

 private:
  struct Cell {
    Method method;
    Status status;
    telemetry::Counter* counter;
  };
  struct PerRoute {
    std::vector<Cell> cells;
    telemetry::Histogram* duration = nullptr;
  };
  telemetry::Counter& cell(PerRoute& place, const Route* route, Method method, Status status);

  struct Line;
  void log(const Line& line) noexcept;

  telemetry::Registry& registry_;
  const bool log_every_;
  const double slow_s_;
  const resilience::TokenRate slow_rate_;
  resilience::TokenBucket slow_lines_;
  telemetry::Counter& slow_;
  std::uint64_t not_logged_ = 0;  // slow ones since the last line of one
  std::string server_;
  std::vector<PerRoute> routes_;  // by Route::index; the last is "none"
  std::vector<std::pair<Status, telemetry::Counter*>> refusals_;
  std::array<telemetry::Counter*, static_cast<std::size_t>(Timeout::count_)> timeouts_{};
};

}  // namespace trialwire::net
