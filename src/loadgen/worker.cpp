// SPDX-License-Identifier: Apache-2.0
#include "loadgen/worker.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <ctime>
#include <limits>

#include "base/check.hpp"

namespace trialwire::loadgen {
namespace {

constexpr std::int64_t sweep_every_ns = 20'000'000;
constexpr std::size_t buffer_bytes = 512 << 10;
constexpr int events_max = 512;
// Connects under way at once; more would only fill the server's backlog and wait for SYN retries.
constexpr unsigned connecting_max = 256;

std::int64_t clock_ns(clockid_t clock) noexcept {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

}  // namespace

std::int64_t monotonic_ns() noexcept {
  return clock_ns(CLOCK_MONOTONIC);
}

Worker::Worker(WorkerOptions options, std::unique_ptr<RequestSource> source)
    : options_(std::move(options)),
      source_(std::move(source)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      connections_(options_.load.connections),
      buffer_(buffer_bytes, '\0'),
      free_(options_.load.connections) {
  TW_CHECK(epoll_ >= 0);
  const std::size_t ring = std::bit_ceil(options_.load.pipeline);
  rings_.resize(ring * connections_.size());
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    connections_[i].use_ring(std::span(rings_).subspan(i * ring, ring));
  }
  if (options_.receipts_file >= 0) receipts_.emplace(options_.receipts_file);
  unsent_count_ =
      options_.load.count > 0 ? options_.load.count : std::numeric_limits<std::uint64_t>::max();
}

Worker::~Worker() {
  connections_.clear();
  ::close(epoll_);
}

Result<void> Worker::connect_all() {
  now_ = monotonic_ns();
  const std::int64_t give_up_ns = now_ + options_.load.timeout.count();
  int last_error = 0;
  Tag next = 0;
  std::vector<Tag> again;
  while (now_ < give_up_ns && open_ < connections_.size()) {
    while (connecting_ < connecting_max && next < connections_.size()) {
      last_error = connections_[next].open(options_.endpoint, epoll_, next);
      if (last_error != 0) break;
      ++connecting_;
      ++next;
    }
    if (last_error != 0) break;
    const unsigned failed_before = static_cast<unsigned>(totals_.connections_failed);
    wait(now_ + sweep_every_ns);
    if (totals_.connections_failed != failed_before && open_ == 0) break;
    if (next == connections_.size() && connecting_ == 0) break;
  }
  for (auto& connection : connections_) {
    if (connection.state() == Connection::State::connecting) connection.close();
  }
  totals_.connections_failed = connections_.size() - open_;
  connecting_ = 0;
  connecting_phase_ = false;
  if (totals_.connections_failed > 0 && totals_.first_error.empty()) {
    totals_.first_error = last_error != 0 ? errno_error("cannot connect", last_error).text
                                          : "cannot connect: no answer in time";
  }
  if (open_ > 0) return {};
  auto text = totals_.first_error;
  constexpr std::string_view verb = "cannot connect";
  if (text.starts_with(verb)) text.insert(verb.size(), " to " + options_.endpoint.name);
  return fail(ErrorCode::unavailable, text);
}

void Worker::run(const Window& window, const std::atomic<bool>& stop) {
  window_ = window;
  sending_ = true;
  // Default 50 µs of timer slack would send every request of an open loop late.
  ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  now_ = monotonic_ns();
  next_sweep_ns_ = now_ + sweep_every_ns;
  if (options_.load.rate > 0) {
    schedule_.emplace(ScheduleOptions{.per_second = options_.load.rate,
                                      .arrivals = options_.load.arrivals,
                                      .seed = options_.seed},
                      window.start_ns);
  }
  for (Tag tag = 0; tag < connections_.size(); ++tag) {
    if (connections_[tag].state() == Connection::State::open) offer(tag);
  }
  while (!over()) {
    now_ = monotonic_ns();
    note_window();
    if (sending_ && (stop.load(std::memory_order_relaxed) || all_sent())) stop_sending();
    if (now_ >= next_sweep_ns_) sweep();
    send_due();
    wait(next_wake_ns());
    if (receipts_) {
      if (auto flushed = receipts_->flush(); !flushed) {
        totals_.first_error = flushed.error().text;
        stop_sending();
        receipts_.reset();
      }
    }
    progress_.answered.store(totals_.answered, std::memory_order_relaxed);
    progress_.unanswered.store(totals_.unanswered, std::memory_order_relaxed);
  }
  totals_.unanswered += in_flight_;
  totals_.timed_out += in_flight_;
  note_window();
  if (cpu_at_start_ns_ >= 0) {
    if (cpu_at_end_ns_ < 0) cpu_at_end_ns_ = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    totals_.window_cpu_ns = static_cast<std::uint64_t>(cpu_at_end_ns_ - cpu_at_start_ns_);
  }
}

bool Worker::over() const noexcept {
  if (!sending_) return in_flight_ == 0 || now_ >= drain_until_ns_;
  return open_ == 0 && connecting_ == 0 && !options_.load.reconnect;
}

// An open loop still sends what was due within its time but found no connection free.
bool Worker::all_sent() const noexcept {
  if (unsent_count_ == 0) return true;
  if (now_ < window_.measured_until_ns) return false;
  return !schedule_ || schedule_->due_ns() >= window_.measured_until_ns ||
         now_ >= window_.measured_until_ns + options_.load.timeout.count();
}

void Worker::stop_sending() {
  if (!sending_) return;
  sending_ = false;
  drain_until_ns_ = now_ + options_.load.timeout.count();
  if (!schedule_ || options_.load.count > 0) return;
  const auto until = std::min(now_, window_.measured_until_ns);
  totals_.not_sent += schedule_->due_before(until);
}

void Worker::note_window() {
  if (cpu_at_start_ns_ < 0 && now_ >= window_.measured_from_ns) {
    cpu_at_start_ns_ = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  }
  if (cpu_at_end_ns_ < 0 && now_ >= window_.measured_until_ns) {
    cpu_at_end_ns_ = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  }
}

std::int64_t Worker::next_wake_ns() const noexcept {
  std::int64_t wake = next_sweep_ns_;
  if (!sending_) return std::min(wake, drain_until_ns_);
  if (now_ < window_.measured_until_ns) wake = std::min(wake, window_.measured_until_ns);
  if (schedule_ && free_count_ > 0) wake = std::min(wake, schedule_->due_ns());
  return wake;
}

int Worker::wait(std::int64_t until_ns) {
  std::array<epoll_event, events_max> events;
  const auto sleep = std::max<std::int64_t>(until_ns - now_, 0);
  const timespec timeout{.tv_sec = sleep / 1'000'000'000, .tv_nsec = sleep % 1'000'000'000};
  const int ready = ::epoll_pwait2(epoll_, events.data(), events_max, &timeout, nullptr);
  now_ = monotonic_ns();
  for (int i = 0; i < ready; ++i) handle(events[i].data.u32, events[i].events);
  return ready;
}

void Worker::handle(Tag tag, std::uint32_t events) {
  Connection& connection = connections_[tag];
  if (connection.state() == Connection::State::closed) return;
  if (connection.state() == Connection::State::connecting) {
    handle_connecting(tag);
    return;
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 && !receive(tag)) return;
  if (connection.send_blocked() && connection.send_rest() == Connection::Sent::failed) {
    give_up(tag, "the server closed a connection");
    return;
  }
  refill(tag);
}

void Worker::handle_connecting(Tag tag) {
  Connection& connection = connections_[tag];
  const int error = connection.finish_open();
  if (error == EINPROGRESS) return;
  --connecting_;
  if (error != 0) {
    const std::string tls = error == EPROTO ? connection.tls_trouble() : "";
    connection.close();
    refused_ = true;
    if (connecting_phase_) {
      ++totals_.connections_failed;
    } else if (!options_.load.reconnect) {
      ++totals_.connections_lost;
    }
    if (totals_.first_error.empty()) {
      totals_.first_error =
          tls.empty() ? errno_error("cannot connect", error).text : "cannot connect: TLS: " + tls;
    }
    return;
  }
  ++open_;
  refused_ = false;
  if (!connecting_phase_) {
    ++totals_.reconnected;
    offer(tag);
  }
}

void Worker::sweep() {
  next_sweep_ns_ = now_ + sweep_every_ns;
  unsigned asked = 0;  // and refused at once
  for (Tag tag = 0; tag < connections_.size(); ++tag) {
    const Connection& connection = connections_[tag];
    if (connection.state() == Connection::State::closed) {
      // After a refusal one connection asks for all, until the server is back.
      const unsigned at_once = refused_ ? 1 : connecting_max;
      if (options_.load.reconnect && sending_ && connecting_ + asked < at_once) {
        reopen(tag);
        if (connection.state() == Connection::State::closed) ++asked;
      }
    } else if (connection.in_flight() > 0 &&
               now_ - connection.last_answer_ns > options_.load.timeout.count()) {
      totals_.timed_out += connection.in_flight();
      give_up(tag, "a request was not answered in time");
    }
  }
}

void Worker::reopen(Tag tag) {
  if (connections_[tag].open(options_.endpoint, epoll_, tag) == 0) {
    ++connecting_;
  } else {
    refused_ = true;
  }
}

void Worker::give_up(Tag tag, std::string_view why) {
  Connection& connection = connections_[tag];
  in_flight_ -= connection.in_flight();
  totals_.unanswered += connection.in_flight();
  ++totals_.connections_lost;
  if (totals_.first_error.empty()) totals_.first_error = why;
  connection.close();
  --open_;
}

}  // namespace trialwire::loadgen
