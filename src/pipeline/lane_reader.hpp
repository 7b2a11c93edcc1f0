// SPDX-License-Identifier: Apache-2.0
// A lane's way through the journal: begins where the sink says that it is, takes the records that
// are this lane's into the batch, and waits for the other lanes where the gate asks for it. Used by
// the lane's thread.
//
// A submission (consecutive records of one request) is taken whole, by the lane of its first
// record.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>

#include "base/error.hpp"
#include "pipeline/batch_rule.hpp"
#include "pipeline/lane_core.hpp"

namespace trialwire::pipeline {

class LaneReader {
 public:
  explicit LaneReader(LaneCore& core);

  bool is_open() const noexcept { return reader_ != nullptr; }
  /// Asks the sink where it is, unless that is known, and reads from there. Errors: the sink's;
  /// corrupt, when that cannot be of this journal's history: the text names both.
  Result<void> open();
  /// What was collected is dropped and will be read again, from where the sink is then.
  void start_over();

  /// Fills the batch; returns when it is to be delivered, when nothing came for a while, at a
  /// barrier, or on stop. After the first record it looks again only when the batch may be due, so
  /// it does not wake for every commit of the journal. False when the journal could not be read.
  /// `small`: batches as small as the rule allows. `on_first` is called before the first record.
  bool collect(bool small, const std::function<void()>& on_first, const std::stop_token& stop);

  void delivery_begins() noexcept { last_delivery_ = Clock::now(); }

  /// With the batch delivered: waits a moment for what the other lanes must have before. At no
  /// barrier it returns at once.
  void wait_at_barrier(const std::stop_token& stop);

  /// Nothing was delivered for a while, but records of others were passed: where this lane is
  /// should be stored with an empty delivery.
  bool cursor_is_due() const noexcept;
  /// The lane was one of more than there are now, and has all that will ever be its own.
  bool is_retired() const noexcept;

 private:
  /// What the records that follow, one or a submission, are to this lane.
  enum class Unit : std::uint8_t { mine, foreign, barrier };
  struct Barrier {
    std::uint64_t sequence = 0;     // that has to be reached …
    std::optional<unsigned> owner;  // … by that lane; by all others when there is none
  };

  Result<void> locate();
  Result<void> refuse(const journal::Cursor& found);
  Result<void> ask_for_letters(std::uint64_t found);
  void records_missing(std::uint64_t from);
  void pass_gap(const journal::Batch& read);
  bool take_pending(bool small);
  Unit judge(std::span<const journal::Record> unit);
  bool passes(const Barrier& barrier);
  bool waits() const noexcept { return barrier_.has_value(); }

  LaneCore& core_;
  BatchRule rule_;
  std::unique_ptr<journal::Reader> reader_;  // null: where to begin is not known, or reading failed
  journal::Batch* pending_ = nullptr;        // the reader's; from `pending_index_` on not taken
  std::size_t pending_index_ = 0;
  bool alone_ = false;              // the batch is one submission that others wait for
  std::uint64_t span_entered_ = 0;  // of the schedule: its first sequence
  std::optional<Barrier> barrier_;  // where it waits
  std::uint64_t gap_told_ = 0;      // what was lost before this is logged and counted
  Clock::time_point last_delivery_{};
};

}  // namespace trialwire::pipeline
