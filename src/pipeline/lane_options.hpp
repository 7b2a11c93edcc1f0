// SPDX-License-Identifier: Apache-2.0
// What bounds a lane, and what it works with besides journal and sink. A plain value.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/batch_rule.hpp"
#include "pipeline/give_way.hpp"
#include "resilience/backoff.hpp"

namespace trialwire::pipeline {

class CursorBounds;
class DeadLetters;
class LaneGate;
class LaneMetrics;

struct LaneOptions {
  unsigned lane = 0;  // of this sink, from 0
  /// What it reads, where that is not this machine's journal: in the log beside sink and lane.
  std::string source;
  /// Lane::start asks the sink where it is, and fails where the journal refuses that; else the
  /// lane's thread does, and repeats it.
  bool asks_at_start = true;
  /// Of the lanes that are one after the other of this number; outlives them. Null: its own.
  LaneMetrics* metrics = nullptr;
  std::size_t batch_records = 512;                   // deliver when so many wait …
  std::chrono::milliseconds batch_delay{500};        // … or the oldest has waited so long
  std::size_t batch_records_max = 16'384;            // of one delivery, when it lags
  std::size_t batch_bytes_max = 8 << 20;             // likewise
  std::chrono::milliseconds delivery_interval{100};  // from one delivery's start to the next's
                                                     // unless a largest one waits: fewer syncs
  std::vector<KindBatch> kinds;                      // with numbers of their own
  /// A lane whose keys are quiet stores so often how far it has looked.
  std::chrono::milliseconds cursor_interval{5'000};

  /// With nothing to deliver for so long, the sink is asked where it is: another destination, or
  /// one that was restored from a back-up, may be in its place. 0: never.
  std::chrono::milliseconds idle_check{30'000};

  resilience::BackoffOptions backoff;
  /// Where goes what the sink can never take; outlives the lane. Null: it is repeated for ever.
  DeadLetters* dead_letters = nullptr;
  /// False: what the sink refuses is repeated, too, and holds up what is behind it. For a sink
  /// whose word senders wait for: what is set aside would count as taken.
  bool sets_aside = true;
  /// So many refused in a row, without one taken, are set aside; then it is the sink that is wrong
  /// and not the records, and the lane waits. 0: no bound.
  unsigned refusals_max = 100;
  /// Looks so often for dead letters that an operator wants delivered; of a journal's lanes one
  /// does.
  bool redelivers = true;
  std::chrono::milliseconds retry_look{1'000};
  /// Of a sink with several lanes, shared by them; outlives the lane. Null: it has one.
  LaneGate* gate = nullptr;

  /// Of a journal's lanes, shared by them; outlives the lane. Null: the sink can be where the
  /// journal ends at the start, or where the lane brings it.
  CursorBounds* bounds = nullptr;
  /// Other processes deliver to the lane's cursor, too: it can be anywhere in the journal.
  bool delivers_alone = true;

  /// Called when more is durable in the sink, on the lane's thread. Empty: nobody asks.
  std::function<void()> on_durable;

  std::chrono::milliseconds stop_patience{1'000};  // then a delivery in flight is given up
  bool background = true;                          // lowest priority for the thread, and pauses
  GiveWayOptions give_way;                         // when in background
  /// Of the lane's thread, asked on it. Empty: the kernel's.
  std::function<std::optional<ProcessorTime>()> processor_time;
  std::function<std::int64_t()> unix_now_ns;  // empty: the system clock
};

}  // namespace trialwire::pipeline
