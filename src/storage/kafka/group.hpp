// SPDX-License-Identifier: Apache-2.0
// A member of a consumer group: for every partition that the group gives to this process, a lane
// with a sink of its own, which stores records and offset in one transaction.
//
//   given     a lane is made: it asks its sink for the partition's cursor, seeks there, delivers
//   taken     the lane ends its delivery, or gives it up after LaneOptions::stop_patience; then the
//             partition is let go
//   lost      (this process was too slow, or cut off) the same. Until it knows, it may go on
//             delivering: its cursor is compared in the transaction, so that what another member
//             has stored meanwhile makes it a conflict, and nothing is stored twice
//
// Partitions move cooperatively: those that stay are not touched. A database that is away moves
// nothing: lanes retry, the member goes on telling the group that it is there.
//
// Threads: its own, one that asks where the partitions end, and one a lane. Bounded by the
// partitions of the topics: each has a thread, a connection of its sink, `partition_bytes` of
// fetched messages and one batch. A lane's number is the lowest that is free in this process;
// metrics are kept by it, so that partitions may come and go for years.
#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "pipeline/lane.hpp"
#include "storage/kafka/client.hpp"
#include "storage/kafka/message.hpp"

namespace trialwire::telemetry {
class Registry;
}

namespace trialwire::storage::kafka {

struct GroupOptions {
  ClientOptions client;
  std::string group = "trialwire";
  std::vector<KindTopic> topics;
  std::chrono::milliseconds session_timeout{10'000};  // then others take over
  std::chrono::milliseconds poll_interval{300'000};   // a member whose thread hangs so long is out
  std::size_t partition_bytes = 8 << 20;
  /// So often the brokers are asked where the partitions end: what is not fetched yet is lag, too.
  std::chrono::milliseconds tail_interval{5'000};
  pipeline::LaneOptions lane;  // its `lane`, `source` and `metrics` are set here
};

class GroupMember {
 public:
  /// A sink for one partition at a time; what it keeps apart by lane is lane 0.
  using MakeSink = std::function<std::unique_ptr<pipeline::Sink>()>;
  /// `metrics` outlives it; `make_sink` is called on the member's thread.
  GroupMember(GroupOptions options, MakeSink make_sink, telemetry::Registry& metrics);
  ~GroupMember();
  GroupMember(const GroupMember&) = delete;
  GroupMember& operator=(const GroupMember&) = delete;

  /// Joins in the background. Errors: settings that librdkafka refuses, a file that is missing.
  Result<void> start();
  /// Ends every lane and leaves the group, so that others take over at once. Idempotent.
  void stop();

  struct Standing {
    bool joined = false;         // the group has given something, be it nothing
    std::size_t partitions = 0;  // given to this process
    std::size_t lanes = 0;       // of them at work: their sink has said where it is
    std::uint64_t stored = 0;    // messages before where the lanes are
    std::uint64_t lag = 0;       // messages, as far as is known
    std::string trouble;         // what the client last said; empty: nothing
    std::string lane_trouble;    // why the last attempt of a lane failed; empty: none did
  };
  /// Any thread.
  Standing standing() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trialwire::storage::kafka
