// SPDX-License-Identifier: Apache-2.0
// All lanes of one sink: each with its own cursor, connection and thread, and one delivery in
// flight. The records of a key (patient, device or study) are all of one lane, so they arrive in
// order; those of different lanes need not. What lane_gate.hpp names is where the lanes wait for
// each other. One sink's lanes never wait for another sink's.
//
// Their number may change from start to start: the new number counts from where the journal ended
// then, and each lane gets there with the old one first. The history of it is in `schedule_file`,
// written and synced before a lane starts; without the file there was always one lane. It belongs
// to the cursors in the destination as the journal does: with another history they mean something
// else. A file that cannot be read, or that speaks of more than the journal has, is refused, never
// guessed.
//
// How far the sink is, is noted in `reached_file` now and then and at a stop: what it had is not
// held back again at a start at which it does not answer. The sink's own word, once it comes,
// counts; the note may be old or lost.
//
// Up to where the sink can be (cursor_bounds.hpp) is in `bounds_file` while it is not found there.
//
// Owned, started and stopped by one thread. `stop` ends all lanes within one `stop_patience`.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "journal/file_layer.hpp"
#include "journal/journal.hpp"
#include "pipeline/cursor_bounds.hpp"
#include "pipeline/lane.hpp"
#include "pipeline/lane_gate.hpp"
#include "pipeline/lane_options.hpp"
#include "pipeline/lane_schedule.hpp"
#include "pipeline/sink.hpp"

namespace trialwire::pipeline {

struct SinkLanesOptions {
  unsigned lanes = 1;
  LaneOptions each;  // its `lane` and `gate` are set here
  /// In a directory that is made when missing. Empty: always one lane.
  std::filesystem::path schedule_file;
  /// In the same. Empty: no notes.
  std::filesystem::path reached_file;
  std::chrono::milliseconds reached_interval{5'000};  // between two notes
  /// In the same. Empty: the next start does not know up to where the sink can be.
  std::filesystem::path bounds_file;
};

class SinkLanes {
 public:
  /// A new sink for that lane, each with a connection of its own.
  using MakeSink = std::function<std::unique_ptr<Sink>(unsigned lane)>;

  SinkLanes(SinkLanesOptions options, journal::Journal& journal, MakeSink make_sink,
            telemetry::Registry& metrics, journal::FileLayer& files = journal::posix_files());
  ~SinkLanes();
  SinkLanes(const SinkLanes&) = delete;
  SinkLanes& operator=(const SinkLanes&) = delete;

  /// Decides on the lanes; the journal then keeps everything. Before anything is appended to it,
  /// and, with several sinks, for all of them before the first one starts. Errors: those of the
  /// file.
  Result<void> prepare();
  /// Prepares, when that is not done yet. Errors: those of Lane::start.
  Result<void> start();
  void request_stop();
  void stop();

  /// Everything before it is durable in the sink; 0 until all lanes have said where they are.
  std::uint64_t next_sequence() const noexcept;
  /// That of the first lane that has one.
  std::string trouble() const;
  std::size_t lanes() const noexcept { return lanes_.size(); }

 private:
  Result<LaneSchedule> decide();
  std::uint64_t noted() const;
  void note_now_and_then();
  void note();
  void observe_lanes();

  SinkLanesOptions options_;
  journal::Journal& journal_;
  MakeSink make_sink_;
  telemetry::Registry& metrics_;
  journal::FileLayer& files_;
  CursorBounds bounds_;    // before the lanes, which use it
  std::mutex note_mutex_;  // of the next two
  std::chrono::steady_clock::time_point noted_at_{};
  std::uint64_t noted_ = 0;
  std::unique_ptr<LaneGate> gate_;  // before the lanes, which use it
  std::vector<std::unique_ptr<Lane>> lanes_;
};

/// What the file says of this journal; one lane when there is no file, or it is of another journal.
Result<LaneSchedule> read_lane_schedule(const std::filesystem::path& file, const Uuid& journal,
                                        journal::FileLayer& files);

/// The sink had everything of this journal before it, as `reached_file` notes; 0: nobody knows.
std::uint64_t read_reached(const std::filesystem::path& file, const Uuid& journal,
                           journal::FileLayer& files);

}  // namespace trialwire::pipeline
