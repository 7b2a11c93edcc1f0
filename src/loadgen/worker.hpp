// SPDX-License-Identifier: Apache-2.0
// One thread's share of a load run: its connections, its epoll loop, its counters. Everything but
// `progress` belongs to the thread that calls `run`. Bounded by connections × pipeline; once warm
// it allocates nothing for a request.
#pragma once
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "loadgen/connection.hpp"
#include "loadgen/load_options.hpp"
#include "loadgen/receipts.hpp"
#include "loadgen/request_source.hpp"
#include "loadgen/response_parser.hpp"
#include "loadgen/totals.hpp"

namespace trialwire::loadgen {

/// CLOCK_MONOTONIC in nanoseconds.
std::int64_t monotonic_ns() noexcept;

struct WorkerOptions {
  LoadOptions load;  // connections, rate and count are this worker's share
  Endpoint endpoint;
  std::uint64_t seed = 1;
  int receipts_file = -1;  // -1: none wanted
};

/// When a run starts and which part of it is measured; CLOCK_MONOTONIC.
struct Window {
  std::int64_t start_ns = 0;
  std::int64_t measured_from_ns = 0;
  std::int64_t measured_until_ns = 0;  // for a run by count: no end
};

class Worker {
 public:
  Worker(WorkerOptions options, std::unique_ptr<RequestSource> source);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Opens the connections. An error when not one of them opens.
  Result<void> connect_all();
  /// Returns when the run is over: time or count reached and the last answers in, or stopped, or
  /// all connections lost.
  void run(const Window& window, const std::atomic<bool>& stop);

  [[nodiscard]] const Totals& totals() const noexcept { return totals_; }
  [[nodiscard]] const Progress& progress() const noexcept { return progress_; }
  /// When the last answer came; CLOCK_MONOTONIC.
  [[nodiscard]] std::int64_t last_answer_ns() const noexcept { return last_answer_ns_; }

 private:
  using Tag = std::uint32_t;

  int wait(std::int64_t until_ns);
  void handle(Tag tag, std::uint32_t events);
  void handle_connecting(Tag tag);
  /// False when the connection was given up.
  bool receive(Tag tag);
  bool take_answers(Connection& connection, std::string_view& bytes);
  void count_answer(const InFlight& request, const ParsedResponse& answer);

  void refill(Tag tag);
  void send_due();
  void send(Tag tag, unsigned requests_max, std::int64_t since_ns);
  void offer(Tag tag);

  void ended(Tag tag, bool orderly);
  void give_up(Tag tag, std::string_view why);
  void reopen(Tag tag);
  void sweep();
  void stop_sending();
  void note_window();
  [[nodiscard]] bool all_sent() const noexcept;
  [[nodiscard]] bool over() const noexcept;
  [[nodiscard]] std::int64_t next_wake_ns() const noexcept;

  WorkerOptions options_;
  std::unique_ptr<RequestSource> source_;
  int epoll_ = -1;
  std::vector<InFlight> rings_;
  std::vector<Connection> connections_;
  std::string buffer_;     // every receive goes here first
  std::vector<Tag> free_;  // open loop: connections that may send, a ring
  std::size_t free_head_ = 0;
  std::size_t free_count_ = 0;
  std::optional<Schedule> schedule_;
  std::optional<ReceiptBuffer> receipts_;

  Window window_;
  std::int64_t now_ = 0;
  std::int64_t next_sweep_ns_ = 0;
  std::int64_t drain_until_ns_ = 0;
  std::int64_t last_answer_ns_ = 0;
  std::int64_t cpu_at_start_ns_ = -1;
  std::int64_t cpu_at_end_ns_ = -1;
  std::uint64_t unsent_count_ = 0;  // requests that may still be sent
  std::uint64_t in_flight_ = 0;
  unsigned open_ = 0;
  unsigned connecting_ = 0;
  bool sending_ = false;  // from `run` until the end of the window
  bool connecting_phase_ = true;
  bool refused_ = false;  // the last connect was

  Totals totals_;
  Progress progress_;
};

}  // namespace trialwire::loadgen
