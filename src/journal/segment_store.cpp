// SPDX-License-Identifier: Apache-2.0
#include "journal/segment_store.hpp"

#include <fmt/format.h>

#include <atomic>
#include <functional>
#include <limits>
#include <mutex>

#include "journal/recovery.hpp"
#include "journal/scrubber.hpp"
#include "journal/segment_keeper.hpp"
#include "journal/segment_ledger.hpp"
#include "journal/segment_reader.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::journal {
namespace {

// So often the keeper is told that the current segment fills up.
constexpr std::uint64_t keeper_part_bytes = 4 << 20;

struct StoreFigures {
  std::uint64_t next_sequence = 1;
  std::uint64_t first_sequence = 1;
  std::uint64_t segments = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t undelivered_bytes = 0;
  bool failed = false;
  bool blocked = false;
  bool undelivered_full = false;
};

/// What a scrape reads, as it is at that moment: segments come and go also while nothing is
/// appended. A scrape may come after the store is gone, and finds what was last.
class StoreGauges {
 public:
  explicit StoreGauges(std::function<StoreFigures()> ask) : ask_(std::move(ask)) {}
  StoreFigures figures() {
    const std::lock_guard lock(mutex_);
    if (ask_) last_ = ask_();
    return last_;
  }
  /// The store is not asked any more once this returned.
  void end() {
    static_cast<void>(figures());
    const std::lock_guard lock(mutex_);
    ask_ = nullptr;
  }

 private:
  std::mutex mutex_;
  std::function<StoreFigures()> ask_;
  StoreFigures last_;
};

void expose(telemetry::Registry& metrics, const std::shared_ptr<StoreGauges>& gauges, bool direct,
            const StoreOptions& options) {
  const auto gauge = [&](std::string_view name, std::string_view help, auto read) {
    metrics.observe(name, help, {},
                    [gauges, read] { return static_cast<double>(read(gauges->figures())); });
  };
  gauge("trialwire_journal_next_sequence", "Sequence that the next record will get.",
        [](const StoreFigures& f) { return f.next_sequence; });
  gauge("trialwire_journal_first_sequence", "Sequence of the oldest record still here.",
        [](const StoreFigures& f) { return f.first_sequence; });
  gauge("trialwire_journal_segments", "Segment files, spares included.",
        [](const StoreFigures& f) { return f.segments; });
  gauge("trialwire_journal_disk_bytes", "Bytes of all segment files.",
        [](const StoreFigures& f) { return f.disk_bytes; });
  gauge("trialwire_journal_failed", "1 after a failed write or sync: nothing more is acknowledged.",
        [](const StoreFigures& f) { return f.failed ? 1 : 0; });
  gauge("trialwire_journal_blocked", "1 while no new segment can be prepared.",
        [](const StoreFigures& f) { return f.blocked ? 1 : 0; });
  gauge("trialwire_journal_undelivered_bytes", "Bytes that the sink furthest behind does not have.",
        [](const StoreFigures& f) { return f.undelivered_bytes; });
  gauge("trialwire_journal_undelivered_full",
        "1 while reports are refused because too much is undelivered.",
        [](const StoreFigures& f) { return f.undelivered_full ? 1 : 0; });
  metrics.observe("trialwire_journal_disk_bytes_max", "Disk budget of the journal.", {},
                  [most = options.bytes_max] { return static_cast<double>(most); });
  metrics.observe("trialwire_journal_undelivered_bytes_limit",
                  "Undelivered bytes from which on reports are refused; 0: the disk budget.", {},
                  [most = options.undelivered.high] { return static_cast<double>(most); });
  metrics.observe("trialwire_journal_io_mode", "1 for the I/O mode that is in use.",
                  {{"mode", direct ? "direct" : "buffered"}}, [] { return 1.0; });
}

class Store final : public SegmentStore {
 public:
  Store(const StoreOptions& options, FileLayer& files, Recovered recovered,
        telemetry::Registry& metrics)
      : options_(options),
        files_(files),
        metrics_(metrics),
        lock_(std::move(recovered.lock)),
        meta_(recovered.meta),
        identity_key_(recovered.identity_key),
        direct_(recovered.direct),
        gaps_(std::move(recovered.gaps)),
        ledger_(meta_.id, std::move(recovered.segments), appendable(recovered.end),
                recovered.end.next_sequence, options.undelivered),
        keeper_({.directory = options.directory,
                 .journal = meta_.id,
                 .direct = direct_,
                 .segment_bytes = meta_.segment_bytes,
                 .bytes_max = options.bytes_max,
                 .retention = options.retention,
                 .spare_retry = options.spare_retry,
                 .spare_wait = options.spare_wait},
                files, ledger_, std::move(recovered.signing), std::move(recovered.spares),
                recovered.highest_segment, metrics),
        chain_{meta_.id, recovered.end.epoch + 1, recovered.end.next_sequence,
               recovered.end.previous},
        current_number_(appendable(recovered.end)),
        current_offset_(recovered.end.offset),
        written_(metrics.counter("trialwire_journal_written_bytes_total",
                                 "Bytes written to segments, headers and padding included.")),
        gauges_(std::make_shared<StoreGauges>([this] { return figures(); })) {
    expose(metrics, gauges_, direct_, options);
  }

  ~Store() override {
    Store::stop();
    gauges_->end();
  }

  void start(StoreEvents events) override {
    const auto corrupt = events.corrupt;
    keeper_.start(std::move(events));
    if (options_.scrub_bytes_per_second == 0) return;
    scrubber_ = std::make_unique<Scrubber>(
        files_,
        ScrubOptions{.directory = options_.directory,
                     .journal = meta_.id,
                     .segment_bytes = meta_.segment_bytes,
                     .direct = direct_,
                     .bytes_per_second = options_.scrub_bytes_per_second,
                     .pause = options_.scrub_pause},
        gaps_, Scrubber::Source{[this] { return ledger_.sealed(); }, corrupt}, metrics_);
  }

  void stop() override {
    scrubber_.reset();
    keeper_.stop();
  }

  void maintain() override { keeper_.maintain(); }

  const Chain& chain() const noexcept override { return chain_; }

  Result<Appended> append(BatchBuffer& batch, std::int64_t now_ns) override {
    if (failed()) return fail(ErrorCode::io, "the journal's disk has failed");
    const std::uint64_t bytes = batch.bytes().size();
    if (bytes > meta_.segment_bytes) {
      return fail(ErrorCode::payload_too_large,
                  fmt::format("a batch of {} bytes does not fit into a segment", bytes));
    }
    if (auto ready = make_room(bytes); !ready) return std::unexpected(ready.error());
    const Sha256 hash = batch.finish({.journal = meta_.id,
                                      .epoch = chain_.epoch,
                                      .first_sequence = chain_.next_sequence,
                                      .previous = chain_.previous,
                                      .segment = current_number_,
                                      .offset = current_offset_,
                                      .committed_ns = now_ns});
    const Result<void> written = options_.sync
                                     ? current_->write_and_sync(current_offset_, batch.bytes())
                                     : current_->write_at(current_offset_, batch.bytes());
    if (!written) {
      // Whatever its reason: what is on the disk now is not known, so nothing may follow it.
      failed_.store(true);
      return fail(ErrorCode::io, written.error().text);
    }
    const Appended appended{current_number_, current_offset_, chain_.next_sequence, bytes};
    ledger_.appended({.offset = current_offset_,
                      .bytes = bytes,
                      .first_sequence = chain_.next_sequence,
                      .records = batch.records(),
                      .payload_bytes = batch.payload().size(),
                      .committed_ns = now_ns,
                      .header_hash = hash});
    const std::uint64_t parts = current_offset_ / keeper_part_bytes;
    current_offset_ += bytes;
    if (current_offset_ / keeper_part_bytes != parts && keeper_.spares() == 0) keeper_.wake();
    chain_.next_sequence += batch.records();
    chain_.previous = hash;
    written_.add(bytes);
    say_undelivered();
    return appended;
  }

  bool has_room(std::uint64_t bytes) const noexcept override {
    if (ledger_.undelivered_full()) return false;
    if (!keeper_.blocked()) return true;
    const std::uint64_t here =
        ledger_.has_writing() ? meta_.segment_bytes - ledger_.writing_offset() : 0;
    return here + keeper_.spares() * meta_.segment_bytes >= bytes;
  }

  std::uint64_t segment_bytes() const noexcept override { return meta_.segment_bytes; }
  Tail tail() const override { return ledger_.tail(); }
  std::uint64_t first_sequence() const override { return ledger_.first_sequence(); }
  SipKey identity_key() const noexcept override { return identity_key_; }
  const std::filesystem::path& directory() const noexcept override { return options_.directory; }
  std::vector<SealedSegment> sealed_segments() const override { return ledger_.sealed(); }

  Backlog backlog(std::uint64_t next_sequence) const override {
    return {.bytes = ledger_.segments_from(next_sequence) * meta_.segment_bytes,
            .data_bytes = ledger_.bytes_from(next_sequence),
            .blocked = keeper_.blocked() || ledger_.undelivered_full()};
  }

  Status status() const override {
    Status status;
    status.id = meta_.id;
    status.epoch = chain_.epoch;
    status.next_sequence = ledger_.tail().next_sequence;
    status.first_sequence = ledger_.first_sequence();
    status.segments = ledger_.segments_present() + keeper_.spares();
    status.bytes_on_disk = status.segments * meta_.segment_bytes;
    status.direct_io = direct_;
    status.failed = failed();
    return status;
  }

  void set_cursor(std::string_view consumer, std::uint64_t next_sequence) override {
    ledger_.set_cursor(consumer, next_sequence);
    // The keeper looks on its own now and then; only who waits for space is in a hurry.
    if (keeper_.blocked()) keeper_.wake();
    say_undelivered();
  }

  Result<void> check_cursor(const Cursor& cursor) const override { return ledger_.check(cursor); }

  std::uint64_t behind_gap(std::uint64_t sequence) const override {
    // In the order of the journal: one may go on where another begins.
    for (const Gap& gap : gaps_) {
      if (gap.lost_from <= sequence && sequence < gap.resume_sequence) {
        sequence = gap.resume_sequence;
      }
    }
    return sequence;
  }

  Result<std::unique_ptr<SegmentReader>> read(std::uint64_t next_sequence) override {
    if (auto fits = ledger_.check({meta_.id, next_sequence}); !fits) {
      return std::unexpected(fits.error());
    }
    return std::make_unique<DiskReader>(
        DiskReaderOptions{options_.directory, meta_.id, direct_, gaps_}, files_, ledger_,
        next_sequence);
  }

 private:
  std::uint64_t appendable(const ChainEnd& end) const noexcept {
    return end.offset < meta_.segment_bytes ? end.segment : 0;
  }

  bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }

  /// The current segment is open and has room for so many bytes.
  Result<void> make_room(std::uint64_t bytes) {
    const bool fits = current_number_ != 0 && bytes <= meta_.segment_bytes - current_offset_;
    if (fits && current_ != nullptr) return {};
    std::uint64_t number = current_number_;
    if (!fits) {
      const auto spare = keeper_.take_spare();
      if (!spare) return std::unexpected(spare.error());
      number = *spare;
    }
    auto file =
        files_.open(options_.directory / segment_name(number), OpenMode::write_existing, direct_);
    if (!file) {
      failed_.store(true);
      return fail(ErrorCode::io, file.error().text);
    }
    current_ = std::move(*file);
    if (fits) return {};
    current_number_ = number;
    current_offset_ = 0;
    ledger_.begin_segment(number);
    keeper_.wake();
    return {};
  }

  StoreFigures figures() const {
    StoreFigures now;
    now.next_sequence = ledger_.tail().next_sequence;
    now.first_sequence = ledger_.first_sequence();
    now.segments = ledger_.segments_present() + keeper_.spares();
    now.disk_bytes = now.segments * meta_.segment_bytes;
    now.undelivered_bytes = ledger_.undelivered_bytes();
    now.failed = failed();
    now.blocked = keeper_.blocked();
    now.undelivered_full = ledger_.undelivered_full();
    return now;
  }

  void say_undelivered() {
    const bool full = ledger_.undelivered_full();
    if (said_full_.exchange(full) != full) log_undelivered(full);
  }

  void log_undelivered(bool full) const {
    telemetry::log(full ? telemetry::LogLevel::error : telemetry::LogLevel::info, "journal",
                   full ? "too much is undelivered: reports are refused until sinks have taken it"
                        : "sinks have taken enough: reports are accepted again",
                   {{"undelivered_bytes", ledger_.undelivered_bytes()},
                    {"high", options_.undelivered.high},
                    {"low", options_.undelivered.low}});
  }

  const StoreOptions options_;
  FileLayer& files_;
  telemetry::Registry& metrics_;
  std::unique_ptr<DirectoryLock> lock_;
  const JournalMeta meta_;
  const SipKey identity_key_;
  const bool direct_;
  const std::vector<Gap> gaps_;
  SegmentLedger ledger_;
  SegmentKeeper keeper_;

  // Committer:
  Chain chain_;
  std::unique_ptr<File> current_;
  std::uint64_t current_number_;
  std::uint64_t current_offset_;
  telemetry::Counter& written_;

  std::atomic<bool> failed_{false};
  std::atomic<bool> said_full_{false};
  std::shared_ptr<StoreGauges> gauges_;  // shared: a scrape may outlive the store
  std::unique_ptr<Scrubber> scrubber_;
};

}  // namespace

Result<std::unique_ptr<SegmentStore>> SegmentStore::open(const StoreOptions& options,
                                                         FileLayer& files,
                                                         telemetry::Registry& metrics) {
  if (options.segment_bytes < 16 * block_bytes || options.segment_bytes % block_bytes != 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("journal.segment_bytes is {}: it must be a multiple of {} and at least "
                            "{}",
                            options.segment_bytes, block_bytes, 16 * block_bytes));
  }
  if (options.bytes_max < 3 * options.segment_bytes) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("journal.max_bytes is {}: it must hold at least three segments of {}",
                            options.bytes_max, options.segment_bytes));
  }
  auto recovered = recover(options, files, metrics);
  if (!recovered) return std::unexpected(recovered.error());
  if (recovered->meta.segment_bytes != options.segment_bytes) {
    telemetry::log(telemetry::LogLevel::warn, "journal",
                   "journal.segment_bytes is not used: the journal keeps what it was made with",
                   {{"segment_bytes", recovered->meta.segment_bytes}});
  }
  return std::make_unique<Store>(options, files, std::move(*recovered), metrics);
}

}  // namespace trialwire::journal
