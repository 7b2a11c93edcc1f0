// SPDX-License-Identifier: Apache-2.0
#include "loadgen/totals.hpp"

namespace trialwire::loadgen {

void Totals::merge(const Totals& other) {
  for (std::size_t i = 0; i < by_status.size(); ++i) by_status[i] += other.by_status[i];
  sent += other.sent;
  answered += other.answered;
  accepted_reports += other.accepted_reports;
  rejected_reports += other.rejected_reports;
  bytes_sent += other.bytes_sent;
  bytes_received += other.bytes_received;
  connections_failed += other.connections_failed;
  connections_lost += other.connections_lost;
  reconnected += other.reconnected;
  unanswered += other.unanswered;
  timed_out += other.timed_out;
  malformed += other.malformed;
  not_sent += other.not_sent;
  if (first_error.empty()) first_error = other.first_error;
  window_answered += other.window_answered;
  window_accepted_reports += other.window_accepted_reports;
  window_cpu_ns += other.window_cpu_ns;
  latency.merge(other.latency);
}

}  // namespace trialwire::loadgen
