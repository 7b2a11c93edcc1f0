// SPDX-License-Identifier: Apache-2.0
#include "pipeline/lane_gate.hpp"

#include <algorithm>
#include <utility>

namespace trialwire::pipeline {

void LaneGate::reach(unsigned lane, std::uint64_t next_sequence) {
  {
    std::lock_guard lock(mutex_);
    if (reached_[lane] == next_sequence) return;
    reached_[lane] = next_sequence;
  }
  moved_.notify_all();
}

void LaneGate::begins_at(std::uint64_t sequence) {
  if (sequence >= schedule_.spans().back().from) return;
  {
    std::lock_guard lock(mutex_);
    ++returns_;
    for (unsigned lane = 0; lane < reached_.size(); ++lane) {
      if (reached_[lane] == ended && schedule_.has_from(lane, sequence)) reached_[lane] = 0;
    }
  }
  moved_.notify_all();
}

std::uint64_t LaneGate::returns() const {
  std::lock_guard lock(mutex_);
  return returns_;
}

bool LaneGate::end(unsigned lane, std::uint64_t returns) {
  {
    std::lock_guard lock(mutex_);
    if (returns_ != returns) return false;
    reached_[lane] = ended;
  }
  moved_.notify_all();
  return true;
}

void LaneGate::wait_while_ended(unsigned lane, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  moved_.wait(lock, std::move(stop), [&] { return reached_[lane] != ended; });
}

bool LaneGate::has_reached(unsigned lane, std::uint64_t sequence) const {
  std::lock_guard lock(mutex_);
  return reached_[lane] >= sequence;
}

bool LaneGate::others_reached(unsigned lane, std::uint64_t sequence) const {
  std::lock_guard lock(mutex_);
  return others_reached_locked(lane, sequence);
}

bool LaneGate::others_reached_locked(unsigned lane, std::uint64_t sequence) const {
  for (unsigned other = 0; other < reached_.size(); ++other) {
    if (other != lane && reached_[other] < sequence) return false;
  }
  return true;
}

std::uint64_t LaneGate::least_reached() const {
  std::lock_guard lock(mutex_);
  return std::ranges::min(reached_);
}

void LaneGate::wait_for(unsigned lane, std::uint64_t sequence, std::chrono::milliseconds wait,
                        std::stop_token stop) {
  std::unique_lock lock(mutex_);
  moved_.wait_for(lock, std::move(stop), wait, [&] { return reached_[lane] >= sequence; });
}

void LaneGate::wait_for_others(unsigned lane, std::uint64_t sequence,
                               std::chrono::milliseconds wait, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  moved_.wait_for(lock, std::move(stop), wait,
                  [&] { return others_reached_locked(lane, sequence); });
}

}  // namespace trialwire::pipeline
