// SPDX-License-Identifier: Apache-2.0
// A partition of a topic as a journal that lanes read from: its records in order, a cursor that is
// an offset, deliveries that hold nothing back. So one lane, one sink and their rules of retrying
// serve gateways' journals and partitions alike.
//
//   journal id      named by cluster, topic and partition (UUID of version 8): the same for every
//                   member of the group, so that a sink's cursor is the partition's
//   next_sequence   the offset of the next message + 1: offsets begin at 0, cursors at 1
//
// A record keeps the journal, epoch and sequence under which a gateway acknowledged it, and so its
// record id. A message that no gateway wrote is a record of this journal: JSON of its topic's kind.
//
// Used by its lane's thread, `close` by the group's. Bounded by the client's settings for one
// partition. The handle outlives it.
#pragma once
#include <librdkafka/rdkafka.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/hash.hpp"
#include "journal/journal.hpp"
#include "storage/kafka/client.hpp"

namespace trialwire::storage::kafka {

struct PartitionName {
  std::string topic;
  std::int32_t number = 0;
  std::string text() const;  // "trialwire.vital_sign/3"
};

Uuid partition_id(std::string_view cluster, const PartitionName& name);
/// A UUID of version 8 made of a digest.
Uuid digest_id(const Sha256& digest);

/// What came of a message; borrowed from the library.
struct Fetched {
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = 0;
  std::string_view key;
  ByteView value;  // null: a deletion
  const rd_kafka_headers_t* headers = nullptr;
};

/// Whose messages they are that do not say what they hold.
struct Unnamed {
  journal::RecordKind kind = journal::RecordKind::epro_report;
  Uuid partition;
};

/// The record of a message, which it borrows from. False: there is no value.
bool decode_message(const Fetched& message, const Unnamed& unnamed, journal::Record& into);

/// Where a partition ends, as the brokers said last: the library knows it only of what it fetches,
/// and it fetches no more than is read. Any thread; outlives the journal for who asks.
struct PartitionTail {
  explicit PartitionTail(PartitionName named) : name(std::move(named)) {}
  const PartitionName name;
  std::atomic<std::int64_t> high{-1};  // offset after the newest message; unknown
};

/// Asks them; blocks for `wait` at most. Errors: theirs; then it stays as it was.
Result<void> ask_tail(rd_kafka_t* handle, PartitionTail& tail, std::chrono::milliseconds wait);

/// Up to where a cursor can be of the partition, once it was found to end before one: its topic was
/// made anew, or the partition cut off. What it gets after that does not move it. Any thread.
struct PartitionLimit {
  static constexpr std::uint64_t none = UINT64_MAX;
  std::atomic<std::uint64_t> sequence{none};
};

class PartitionJournal final : public journal::Journal {
 public:
  struct Source {
    rd_kafka_t* handle = nullptr;
    PartitionName name;
    Uuid id;
    journal::RecordKind kind = journal::RecordKind::epro_report;
  };
  explicit PartitionJournal(Source source);
  ~PartitionJournal() override;

  const PartitionName& name() const noexcept { return source_.name; }
  const Uuid& id() const noexcept { return source_.id; }
  const std::shared_ptr<PartitionTail>& tail() const noexcept { return tail_; }
  /// Set by `read` and its readers; lifted by who finds the sink's cursor within it.
  PartitionLimit& limit() noexcept { return limit_; }

  /// Errors: corrupt, when the cursor is beyond the partition's end, or beyond the limit;
  /// not_found, when retention has taken what it stands at; unavailable. A reader that stands
  /// beyond the end meets the same.
  Result<std::unique_ptr<journal::Reader>> read(const journal::Cursor& from) override;
  journal::Cursor begin() const override;
  /// The furthest that is known; see PartitionTail.
  journal::Cursor end() const override;
  /// Nobody else keeps it: what counts is the sink's, and a commit to the group that meets a
  /// rebalance would cost this member all of its partitions.
  void set_cursor(std::string_view, const journal::Cursor&) override {}
  journal::Backlog backlog(std::uint64_t) const override { return {}; }
  journal::Status status() const override;

  // A partition takes nothing in:
  ShardPort add_shard(std::function<void()>) override { return {}; }
  void start(std::function<void(const Error&)>) override {}
  void stop() override {}
  std::size_t pending_bytes() const noexcept override { return 0; }

 private:
  struct DestroyQueue {
    void operator()(rd_kafka_queue_t* queue) const noexcept { rd_kafka_queue_destroy(queue); }
  };

  Source source_;
  std::unique_ptr<rd_kafka_queue_t, DestroyQueue> queue_;
  std::shared_ptr<PartitionTail> tail_;
  PartitionLimit limit_;
  mutable std::atomic<std::int64_t> low_{-1};  // unknown
};

}  // namespace trialwire::storage::kafka
