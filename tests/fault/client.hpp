// SPDX-License-Identifier: Apache-2.0
// One shard's side of a run: appends groups of all shapes, on one thread, and takes the answers.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>

#include "fault/bell.hpp"
#include "fault/ledger.hpp"
#include "fault/plan.hpp"
#include "journal/journal.hpp"

namespace trialwire::fault {

class Client {
 public:
  struct Place {
    std::uint32_t shard = 0;
    std::uint32_t run = 0;
  };
  Client(const Plan& plan, Place place, Ledger& ledger, Bell& bell, Random random);

  void attach(journal::Journal& journal);
  /// Appends some groups, takes some back, hands the rest on; takes the answers that came.
  void turn();
  void take_answers();
  std::size_t unanswered() const;
  std::uint64_t refused() const { return refused_; }
  journal::Appender& appender() { return *port_.appender; }

 private:
  void append_group();
  Ledger::Wish wish(journal::GroupMode mode, std::uint32_t count);

  const Plan& plan_;
  const Place place_;
  Ledger& ledger_;
  Bell& bell_;
  Random random_;
  std::atomic<bool> ready_ = false;
  journal::Journal::ShardPort port_;
  std::uint64_t refused_ = 0;
};

}  // namespace trialwire::fault
