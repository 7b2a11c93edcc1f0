// SPDX-License-Identifier: Apache-2.0
#include "fault/sink_run.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "fault/verdict.hpp"
#include "pipeline/sink_lanes.hpp"
#include "support/faulty_files.hpp"
#include "support/memory_journal.hpp"
#include "support/memory_store.hpp"
#include "support/random.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::fault {

namespace {

using namespace std::chrono_literals;
using support::MemoryJournal;
using support::MemoryStore;
using support::Random;

constexpr auto patience = 20s;  // then it hangs

/// What must stay together: a record, or the records of a submission. Told apart from what the
/// pipeline makes of them: this is the senders' side.
struct Unit {
  std::uint64_t first = 0;
  std::vector<std::uint32_t> keys;  // of its records
  bool poison = false;
  unsigned lane = 0;
  std::uint64_t end() const { return first + keys.size(); }
};

class SinkRun {
 public:
  explicit SinkRun(std::uint64_t seed)
      : random_(seed * 0x9e3779b97f4a7c15ULL + 5), failures_(random_.fork()) {
    plan();
  }

  SinkResult run();

 private:
  void plan();
  void append();
  void start();
  void work_until_crash();
  void drain();
  Result<void> step();

  void check_lane(unsigned lane, std::uint64_t below, std::string_view what);
  void check_cursors();
  void check_rows();
  void check_order();
  void check_all_delivered();
  const Unit& unit_of(std::uint64_t sequence) const;

  Random random_;    // of the one thread that drives it all
  Random failures_;  // of the lanes, under the mutex
  Verdict verdict_;
  MemoryJournal journal_;
  MemoryStore store_;
  support::FaultyFiles files_{{}};
  telemetry::Registry metrics_;
  pipeline::SinkLanesOptions options_;
  std::unique_ptr<pipeline::SinkLanes> lanes_;
  SinkCounts counts_;

  std::uint64_t crashes_ = 3, keys_ = 5, poison_percent_ = 3, failing_percent_ = 2;
  mutable std::mutex mutex_;  // of the units and the step's random numbers
  std::vector<Unit> units_;
  std::set<std::uint64_t> poison_;  // sequences
  std::atomic<std::uint64_t> steps_left_ = 0;
  std::atomic<bool> crashed_ = false;
};

void SinkRun::plan() {
  crashes_ = random_.between(2, 7);
  keys_ = random_.between(1, 12);
  poison_percent_ = random_.one_in(3) ? 0 : random_.between(1, 12);
  failing_percent_ = random_.one_in(2) ? 0 : random_.between(1, 10);
  options_.schedule_file = "/cursors/memory.lanes";
  pipeline::LaneOptions& each = options_.each;
  each.batch_records = random_.between(1, 12);
  each.batch_records_max = each.batch_records + random_.between(0, 60);
  each.batch_delay = 0ms;
  each.delivery_interval = 0ms;
  each.cursor_interval = random_.one_in(2) ? 0ms : 5'000ms;
  each.backoff = {.first = 1ms, .cap = 1ms};
  each.refusals_max = 0;
  each.background = false;
  each.dead_letters = &store_;
  store_.at = [this](std::string_view, unsigned) { return step(); };
  store_.is_poison = [this](const journal::Record& record) {
    std::lock_guard lock(mutex_);
    return poison_.contains(record.sequence);
  };
  journal_.when_held([this](std::string_view consumer, std::uint64_t next_sequence) {
    if (next_sequence == UINT64_MAX) return;  // of a lane that there is no more
    check_lane(static_cast<unsigned>(consumer.back() - '0'), next_sequence, "the journal's");
  });
}

/// Every call of every lane comes here, before and after it does something. From the step on at
/// which the process died nothing has an effect any more.
Result<void> SinkRun::step() {
  std::uint64_t left = steps_left_.load();
  while (left > 0 && !steps_left_.compare_exchange_weak(left, left - 1)) {
  }
  if (left == 1) crashed_ = true;
  if (crashed_) return fail(ErrorCode::unavailable, "the process is dead");
  std::lock_guard lock(mutex_);
  if (!failures_.percent(failing_percent_)) return {};
  ++counts_.failures;
  // As a connection that is cut: also after the commit, whose answer is then lost.
  return fail(ErrorCode::unavailable, "the connection is cut");
}

/// One batch of the journal, of some units.
void SinkRun::append() {
  std::vector<std::pair<MemoryJournal::Body, Uuid>> bodies;
  std::lock_guard lock(mutex_);
  std::uint64_t sequence = journal_.end().next_sequence;
  for (std::uint64_t count = random_.between(1, 6); count > 0; --count) {
    Unit unit{.first = sequence, .poison = random_.percent(poison_percent_)};
    const std::uint64_t size = random_.one_in(3) ? random_.between(2, 5) : 1;
    const Uuid submission = size > 1 ? Uuid::random() : Uuid{};
    for (std::uint64_t i = 0; i < size; ++i) {
      unit.keys.push_back(static_cast<std::uint32_t>(random_.below(keys_)));
      bodies.emplace_back(MemoryJournal::Body("x", unit.keys.back()), submission);
    }
    unit.lane = unit.keys.front() % options_.lanes;
    if (unit.poison) poison_.insert(sequence + random_.below(size));
    sequence += size;
    units_.push_back(std::move(unit));
  }
  journal_.append_each(bodies);
}

void SinkRun::start() {
  ++counts_.starts;
  const auto lanes = static_cast<unsigned>(random_.between(1, 4));
  if (lanes != options_.lanes) ++counts_.lane_changes;
  options_.lanes = lanes;
  lanes_ = std::make_unique<pipeline::SinkLanes>(
      options_, journal_,
      [this](unsigned lane) { return std::make_unique<support::MemorySink>(store_, lane); },
      metrics_, files_);
  if (auto started = lanes_->start(); !started) {
    verdict_.fail("does not start: {}", started.error().text);
  }
}

void SinkRun::work_until_crash() {
  crashed_ = false;
  steps_left_ = random_.between(1, 80);
  start();
  for (std::uint64_t batches = random_.between(1, 25); batches > 0 && !crashed_; --batches) {
    append();
    if (random_.one_in(4)) std::this_thread::yield();
  }
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!crashed_ && lanes_->next_sequence() < journal_.end().next_sequence) {
    if (verdict_.failed()) break;
    if (std::chrono::steady_clock::now() > deadline) verdict_.fail("the sink never gets there");
    std::this_thread::yield();
  }
  if (crashed_) ++counts_.crashes;
  crashed_ = true;
  lanes_.reset();
  check_cursors();
}

void SinkRun::drain() {
  crashed_ = false;
  steps_left_ = 0;
  start();
  append();
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!verdict_.failed() && lanes_->next_sequence() < journal_.end().next_sequence) {
    if (std::chrono::steady_clock::now() > deadline) verdict_.fail("the sink never gets there");
    std::this_thread::yield();
  }
  lanes_.reset();
}

// --- what was promised ---------------------------------------------------------------------------

const Unit& SinkRun::unit_of(std::uint64_t sequence) const {
  auto after = std::ranges::upper_bound(units_, sequence, {}, &Unit::first);
  return *std::prev(after);
}

/// No cursor of a lane is beyond what the destination has, or the dead letters.
void SinkRun::check_lane(unsigned lane, std::uint64_t below, std::string_view what) {
  std::scoped_lock lock(mutex_, store_.mutex);
  std::set<std::uint64_t> done;
  for (const auto& transaction : store_.transactions) {
    done.insert(transaction.sequences.begin(), transaction.sequences.end());
  }
  for (const Unit& unit : units_) {
    if (unit.lane != lane) continue;
    for (std::uint64_t at = unit.first; at < std::min(unit.end(), below); ++at) {
      if (done.contains(at) || store_.letters.contains(at)) continue;
      verdict_.fail("{} cursor of lane {} is {}, but nobody has record {}", what, lane, below, at);
      return;
    }
  }
}

void SinkRun::check_cursors() {
  std::map<unsigned, std::uint64_t> cursors;
  {
    std::lock_guard lock(store_.mutex);
    cursors = store_.cursors;
  }
  for (const auto& [lane, next_sequence] : cursors) {
    check_lane(lane, next_sequence, "the destination's");
  }
}

void SinkRun::check_rows() {
  std::set<std::uint64_t> seen;
  for (const auto& transaction : store_.transactions) {
    for (std::uint64_t sequence : transaction.sequences) {
      if (!seen.insert(sequence).second) verdict_.fail("record {} has two rows", sequence);
      if (store_.letters.contains(sequence)) {
        verdict_.fail("record {} has a row and is a dead letter", sequence);
      }
      if (unit_of(sequence).lane != transaction.lane) {
        verdict_.fail("record {} of lane {} came by lane {}", sequence, unit_of(sequence).lane,
                      transaction.lane);
      }
    }
    // Whole submissions.
    std::set<std::uint64_t> here(transaction.sequences.begin(), transaction.sequences.end());
    for (std::uint64_t sequence : here) {
      const Unit& unit = unit_of(sequence);
      for (std::uint64_t at = unit.first; at < unit.end(); ++at) {
        if (!here.contains(at)) {
          verdict_.fail("a submission is split: {} without {} in a transaction", sequence, at);
        }
      }
    }
  }
  for (const auto& letters : store_.units) {
    const Unit& unit = unit_of(letters.front());
    if (letters.size() != unit.keys.size()) {
      verdict_.fail("{} of {} records of a submission at {} are set aside", letters.size(),
                    unit.keys.size(), unit.first);
    }
  }
}

/// Of each key the rows are in the order of the sequences, whichever lane they came by.
void SinkRun::check_order() {
  std::map<std::uint32_t, std::uint64_t> newest;
  for (std::uint64_t sequence : store_.rows()) {
    const Unit& unit = unit_of(sequence);
    std::uint64_t& last = newest[unit.keys[sequence - unit.first]];
    if (sequence < last) verdict_.fail("record {} came after {} of the same key", sequence, last);
    last = sequence;
  }
}

void SinkRun::check_all_delivered() {
  std::set<std::uint64_t> done;
  for (std::uint64_t sequence : store_.rows()) done.insert(sequence);
  for (const Unit& unit : units_) {
    for (std::uint64_t at = unit.first; at < unit.end(); ++at) {
      const bool letter = store_.letters.contains(at);
      if (!done.contains(at) && !letter) verdict_.fail("record {} is lost", at);
      if (letter != unit.poison) {
        verdict_.fail("record {} is {}poison, but {}set aside", at, unit.poison ? "" : "not ",
                      letter ? "" : "not ");
      }
    }
  }
}

SinkResult SinkRun::run() {
  for (std::uint64_t n = 0; n < crashes_ && !verdict_.failed(); ++n) work_until_crash();
  if (!verdict_.failed()) drain();
  if (!verdict_.failed()) {
    check_cursors();
    check_rows();
    check_order();
    check_all_delivered();
  }
  counts_.records = journal_.end().next_sequence - 1;
  counts_.rows = store_.rows().size();
  counts_.letters = store_.letters.size();
  counts_.transactions = store_.transactions.size();
  return {verdict_.failed() ? verdict_.text() : "", counts_};
}

}  // namespace

SinkResult run_sink_seed(std::uint64_t seed) {
  return SinkRun(seed).run();
}

}  // namespace trialwire::fault
