// SPDX-License-Identifier: Apache-2.0
#include "journal/journal.hpp"

#include <algorithm>
#include <atomic>

#include "journal/committer.hpp"
#include "journal/journal_reader.hpp"
#include "journal/segment_store.hpp"
#include "journal/shard_appender.hpp"
#include "telemetry/log.hpp"

namespace trialwire::journal {
namespace {

StoreOptions store_options(const Options& options) {
  return {.directory = options.directory,
          .io = options.io,
          .sync = options.sync == SyncMode::always,
          .segment_bytes = options.segment_bytes,
          .bytes_max = options.bytes_max,
          .undelivered = options.undelivered,
          .retention = options.retention,
          .consumers = options.consumers,
          .scrub_bytes_per_second = options.scrub_bytes_per_second,
          .identity_key_file = options.identity_key_file};
}

/// A batch is one write within one segment, and one that was torn must be recognised as such: it is
/// no longer than `batch_extent_max`. It may hold almost `soft` bytes and then one group more.
struct BatchLimits {
  std::size_t soft = 0;
  std::size_t group = 0;
};

BatchLimits batch_limits(const Options& options, std::uint64_t segment_bytes) {
  const std::uint64_t most = std::min(segment_bytes, StoreOptions{}.batch_extent_max);
  const std::uint64_t header = 2 * block_bytes + most / block_bytes * sizeof(std::uint32_t);
  const std::uint64_t soft = std::min<std::uint64_t>(options.batch_bytes_max, most / 2);
  return {.soft = soft, .group = most - header - soft};
}

/// The records of a range, from the segments, for the index to learn their identities.
Result<void> replay(SegmentStore& store, SequenceRange range, const DedupeIndex::Take& take) {
  auto reader = store.read(range.first);
  if (!reader) return std::unexpected(reader.error());
  std::vector<Record> records;
  while ((*reader)->next_sequence() <= range.last) {
    auto view = (*reader)->next();
    if (!view) return std::unexpected(view.error());
    if (*view == nullptr) break;
    records.clear();
    if (!decode_batch(**view, records)) {
      return fail(ErrorCode::corrupt, "a batch holds no sequence of records");
    }
    for (const Record& record : records) {
      if (record.sequence >= range.first && record.sequence <= range.last) take(record);
    }
  }
  return {};
}

class OpenJournal final : public Journal {
 public:
  OpenJournal(const Options& options, std::unique_ptr<SegmentStore> store,
              std::unique_ptr<DedupeIndex> dedupe, telemetry::Registry& metrics)
      : options_(options),
        limits_(batch_limits(options, store->segment_bytes())),
        id_(store->status().id),
        store_(std::move(store)),
        dedupe_(std::move(dedupe)),
        queue_(std::make_shared<CommitQueue>(CommitRule::Limits{.bytes = options.commit_bytes,
                                                                .interval = options.commit_interval,
                                                                .silence = options.silence},
                                             options.acknowledge_replicated
                                                 ? Acknowledge::when_replicated
                                                 : Acknowledge::when_durable)),
        recent_(
            std::make_shared<RecentBatches>(options.recent_bytes, store_->tail().next_sequence)),
        committer_({.queue = *queue_, .store = *store_, .dedupe = *dedupe_, .recent = *recent_},
                   {.batch_bytes_max = limits_.soft, .sync = options.sync == SyncMode::always},
                   metrics) {
    // Segments whose identities are in memory alone stay. From the beginning: the store deletes by
    // the cursors that it knows, and must not know this one, further on, before a consumer's.
    store_->set_cursor(index_consumer, 0);
    dedupe_->on_written([this] {
      if (consumer_known_.load(std::memory_order_acquire)) release_identities();
    });
    // Shared with the registry, which may be asked after the journal is gone.
    metrics.observe("trialwire_journal_pending_bytes", "Unacknowledged bytes.", {},
                    [queue = queue_] { return static_cast<double>(queue->pending_bytes()); });
    metrics.observe("trialwire_journal_recent_bytes", "Recent batches kept in memory.", {},
                    [recent = recent_] { return static_cast<double>(recent->bytes()); });
    metrics.gauge("trialwire_journal_pending_bytes_limit", "Limit of unacknowledged bytes.")
        .set(static_cast<double>(options.unacknowledged_bytes_max));
    metrics.gauge("trialwire_journal_group_bytes_max", "Limit of one request's records, encoded.")
        .set(static_cast<double>(limits_.group));
    metrics.gauge("trialwire_journal_recent_bytes_limit", "Limit of recent batches in memory.")
        .set(static_cast<double>(options.recent_bytes));
  }
  ~OpenJournal() override { stop(); }

  ShardPort add_shard(std::function<void()> notify) override {
    const std::uint32_t shard = queue_->add_shard(std::move(notify));
    auto appender = std::make_unique<ShardAppender>(
        ShardAppender::Context{.queue = *queue_,
                               .store = *store_,
                               .unacknowledged_bytes_max = options_.unacknowledged_bytes_max,
                               .group_bytes_max = limits_.group},
        shard);
    auto deliver = [mine = appender.get()] { mine->deliver(); };
    return {std::move(appender), std::move(deliver)};
  }

  void start(std::function<void(const Error&)> on_fatal) override {
    StoreEvents events;
    events.corrupt = [](const Error& error) {
      telemetry::log(telemetry::LogLevel::error, "journal", "the scrubber found damage",
                     {{"detail", error.text}});
    };
    store_->start(std::move(events));
    dedupe_->start();
    committer_.start(std::move(on_fatal));
  }

  void stop() override {
    queue_->refuse_new();
    committer_.stop();
    dedupe_->stop();
    store_->stop();
  }

  Result<std::unique_ptr<Reader>> read(const Cursor& from) override {
    if (auto valid = store_->check_cursor(from); !valid) return std::unexpected(valid.error());
    return std::make_unique<JournalReader>(
        JournalReader::Sources{.store = *store_, .recent = *recent_}, from);
  }
  std::size_t pending_bytes() const noexcept override { return queue_->pending_bytes(); }
  Cursor begin() const override { return {id_, store_->first_sequence()}; }
  Cursor end() const override { return {id_, recent_->next_sequence()}; }

  void set_cursor(std::string_view consumer, const Cursor& durable) override {
    store_->set_cursor(consumer, durable.next_sequence);
    consumer_known_.store(true, std::memory_order_release);
    release_identities();
  }

  void replicated(std::uint64_t next_sequence) override { queue_->replicated(next_sequence); }

  Backlog backlog(std::uint64_t next_sequence) const override {
    return store_->backlog(next_sequence);
  }

  std::vector<SealedSegment> sealed_segments() const override { return store_->sealed_segments(); }

  Status status() const override {
    Status status = store_->status();
    status.failed = status.failed || committer_.failed();
    return status;
  }

 private:
  /// Whenever a consumer advances, and whenever identities were written out: with a full disk,
  /// either may be the last that happens.
  void release_identities() {
    store_->set_cursor(index_consumer,
                       dedupe_->enabled() ? dedupe_->needed_from() : recent_->next_sequence());
  }

  const Options options_;
  const BatchLimits limits_;
  const Uuid id_;
  // In the order that one uses the other; the committer's thread ends first.
  std::unique_ptr<SegmentStore> store_;
  std::unique_ptr<DedupeIndex> dedupe_;
  std::shared_ptr<CommitQueue> queue_;
  std::shared_ptr<RecentBatches> recent_;
  Committer committer_;
  std::atomic<bool> consumer_known_{false};
};

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(const Options& options, FileLayer& files,
                                               telemetry::Registry& metrics) {
  auto store = SegmentStore::open(store_options(options), files, metrics);
  if (!store) return std::unexpected(store.error());
  const DedupeOptions dedupe_options{
      .directory = options.directory,
      .journal = (*store)->status().id,
      .bytes = options.dedupe_bytes,
      .window = options.dedupe_window,
      .held_bytes_max = std::max<std::uint64_t>(options.segment_bytes, options.bytes_max / 8)};
  const JournalExtent extent{.first_sequence = (*store)->first_sequence(),
                             .next_sequence = (*store)->tail().next_sequence};
  auto dedupe = DedupeIndex::open(dedupe_options, files, metrics, extent,
                                  [&](SequenceRange range, const DedupeIndex::Take& take) {
                                    return replay(**store, range, take);
                                  });
  if (!dedupe) return std::unexpected(dedupe.error());
  return std::make_unique<OpenJournal>(options, std::move(*store), std::move(*dedupe), metrics);
}

}  // namespace trialwire::journal
