// SPDX-License-Identifier: Apache-2.0
#include "journal/recovery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "journal/quarantine.hpp"
#include "journal/zero_fill.hpp"
#include "telemetry/log.hpp"

namespace trialwire::journal {
namespace {

using std::filesystem::path;
using telemetry::LogLevel;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class Recovery {
 public:
  Recovery(const StoreOptions& options, FileLayer& files, telemetry::Registry& metrics)
      : options_(options), files_(files), metrics_(metrics), directory_(options.directory) {}

  Result<Recovered> run() {
    auto lock = take_directory();
    if (!lock) return std::unexpected(lock.error());
    const auto direct = choose_io();
    if (!direct) return std::unexpected(direct.error());
    direct_ = *direct;
    auto found = inspect(directory_, files_,
                         {.direct = direct_,
                          .consumers = options_.consumers,
                          .threads = options_.recovery_threads,
                          .batch_extent_max = options_.batch_extent_max});
    if (!found) return std::unexpected(found.error());
    found_ = std::move(*found);
    if (Result<void> said = report(); !said) return std::unexpected(said.error());
    if (Result<void> held = check_budget(); !held) return std::unexpected(held.error());
    Result<void> done = found_.exists ? apply() : create();
    if (done && !found_.exists) done = ask_of_a_new_journal();
    if (!done) return std::unexpected(done.error());
    return hand_over(std::move(*lock));
  }

 private:
  Result<std::unique_ptr<DirectoryLock>> take_directory() {
    if (auto made = files_.create_directory(directory_); !made) {
      return std::unexpected(made.error());
    }
    return files_.lock(directory_ / lock_name);
  }

  Result<bool> choose_io() {
    bool direct = false;
    if (options_.io != IoMode::buffered) {
      const auto supported = files_.supports_direct(directory_);
      if (!supported) return supported;
      direct = *supported;
    }
    if (options_.io == IoMode::direct && !direct) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("journal.io is direct, but the file system of {} does not take "
                              "O_DIRECT; use auto or buffered",
                              directory_.native()));
    }
    telemetry::log(direct ? LogLevel::info : LogLevel::warn, "journal", "I/O mode",
                   {{"mode", std::string_view(direct ? "direct" : "buffered")},
                    {"directory", std::string_view(directory_.native())}});
    return direct;
  }

  /// Counts and logs each row that applies; the error when one of them refuses.
  Result<void> report() {
    std::size_t refusals = 0;
    for (const Finding& finding : found_.findings) {
      report(finding);
      if (refuses(finding.what)) ++refusals;
    }
    if (refusals == 0) return {};
    const std::string more =
        refusals > 1 ? fmt::format(" (and {} more)", refusals - 1) : std::string();
    return fail(ErrorCode::corrupt,
                fmt::format("{}{}; nothing was changed: see `trialwire journal verify`, then "
                            "`trialwire journal repair`",
                            found_.refusal()->line(), more));
  }

  void report(const Finding& finding) {
    const RecoveryRow& row = recovery_row(finding.what);
    count_recovery(finding.what);
    metrics_
        .counter("trialwire_journal_recovery_total", "Rows of the recovery table that applied.",
                 {{"case", std::string(row.label)}})
        .add();
    if (row.action == RecoveryAction::go_on) return;
    const LogLevel level = row.action == RecoveryAction::refuse ? LogLevel::error
                           : row.what == RecoveryCase::empty_directory ||
                                   row.what == RecoveryCase::unfinished_file ||
                                   row.what == RecoveryCase::buffered_tail
                               ? LogLevel::info
                               : LogLevel::warn;
    telemetry::log(level, "journal", finding.text,
                   {{"case", row.label},
                    {"file", std::string_view(finding.file.native())},
                    {"offset", finding.offset},
                    {"action", row.done}});
  }

  /// Its id was not known when the directory was looked at.
  Result<void> ask_of_a_new_journal() {
    if (!options_.consumers) return {};
    found_.consumers = options_.consumers(found_.meta->id);
    if (const auto others = other_journals(directory_, found_)) report(*others);
    return {};
  }

  /// A journal keeps the size of segments that it was made with.
  Result<void> check_budget() const {
    if (!found_.meta || options_.bytes_max / 3 >= found_.meta->segment_bytes) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("journal.max_bytes is {}: it must hold at least three segments of {}, "
                            "the size that this journal was made with; nothing was changed",
                            options_.bytes_max, found_.meta->segment_bytes));
  }

  Result<SipKey> take_shared_key() {
    return take_identity_key(files_, directory_, options_.identity_key_file);
  }

  Result<void> create() {
    // First: what is made here goes by the same temporary names.
    if (auto done = remove_unfinished(); !done) return done;
    if (auto key = options_.identity_key_file.empty() ? ensure_identity_key(files_, directory_)
                                                      : take_shared_key();
        !key) {
      return std::unexpected(key.error());
    }
    if (auto key = SigningKey::ensure(files_, directory_); !key) {
      return std::unexpected(key.error());
    }
    // The last one: without it there is no journal here.
    JournalMeta meta{Uuid::random(), now_ns(), options_.segment_bytes, {}};
    if (auto written = write_meta(files_, directory_, meta); !written) return written;
    if (auto done = settle_names(); !done) return done;
    found_.meta = meta;
    found_.end.previous = genesis_hash(meta.id);
    return {};
  }

  /// A process that was killed between a rename and the sync of its directory leaves a name that a
  /// power cut would still take away: a spare segment must not be filled under such a name.
  Result<void> settle_names() {
    const path parent = directory_.parent_path();
    if (auto done = files_.sync_directory(parent.empty() ? path(".") : parent); !done) return done;
    return files_.sync_directory(directory_);
  }

  Result<void> apply() {
    if (auto done = settle_names(); !done) return done;
    if (auto done = remove_unfinished(); !done) return done;
    if (auto done = settle_last_batch(); !done) return done;
    if (found_.cut) {
      if (auto done = keep(*found_.cut); !done) return done;
      if (auto done = cut_off(*found_.cut); !done) return done;
    }
    for (const std::uint64_t number : found_.finish_deletion) {
      if (auto done = files_.remove(directory_ / segment_name(number)); !done) return done;
    }
    if (!found_.finish_deletion.empty()) {
      if (auto done = files_.sync_directory(directory_); !done) return done;
    }
    if (found_.copied) return write_meta(files_, directory_, *found_.meta);
    return {};
  }

  Result<void> remove_unfinished() {
    for (const std::string& name : found_.listing.unfinished) {
      if (auto done = files_.remove(directory_ / name); !done) return done;
    }
    if (found_.listing.unfinished.empty()) return {};
    return files_.sync_directory(directory_);
  }

  /// What is read from now on must be on the disk: a batch that a killed process had written but
  /// not synced may be in a cache only, and after a failed sync the page cache takes it for clean.
  Result<void> settle_last_batch() {
    if (!found_.last_batch || !options_.sync) return {};
    const BatchExtent& last = *found_.last_batch;
    const path name = directory_ / segment_name(last.segment);
    auto file = files_.open(name, OpenMode::write_existing, direct_);
    if (!file) return std::unexpected(file.error());
    if (direct_) return (*file)->sync();
    count_recovery(RecoveryCase::buffered_tail);
    ReadWindow window;
    window.open(**file, last.offset + last.bytes);
    const auto bytes = window.view(last.offset, last.bytes, last.bytes);
    if (!bytes) return std::unexpected(bytes.error());
    telemetry::log(LogLevel::info, "journal", "last batch written again",
                   {{"file", std::string_view(name.native())}, {"offset", last.offset}});
    return (*file)->write_and_sync(last.offset, *bytes);
  }

  /// A full disk keeps nobody from starting: what is cut off was acknowledged to nobody.
  Result<void> keep(const BatchExtent& cut) {
    const auto kept = keep_torn(files_, directory_, cut, options_.batch_extent_max);
    if (!kept && kept.error().code != ErrorCode::disk_full) return std::unexpected(kept.error());
    telemetry::log(LogLevel::warn, "journal",
                   kept ? "a copy of the torn batch is kept"
                        : "the disk is full: no copy of the torn batch is kept",
                   {{"file", std::string_view(segment_name(cut.segment))},
                    {"offset", cut.offset},
                    {"bytes", cut.bytes},
                    {"copy", std::string_view(kept ? kept->native() : std::string())}});
    return {};
  }

  /// Header last: until it is gone, the batch still shows as torn.
  Result<void> cut_off(const BatchExtent& cut) {
    auto file =
        files_.open(directory_ / segment_name(cut.segment), OpenMode::write_existing, direct_);
    if (!file) return std::unexpected(file.error());
    if (cut.bytes > block_bytes) {
      auto done = zero_fill(**file, cut.offset + block_bytes, cut.offset + cut.bytes);
      if (done) done = (*file)->sync();
      if (!done) return done;
    }
    auto done = zero_fill(**file, cut.offset, cut.offset + block_bytes);
    if (done) done = (*file)->sync();
    return done;
  }

  Result<Recovered> hand_over(std::unique_ptr<DirectoryLock> lock) {
    const auto identity_key = options_.identity_key_file.empty()
                                  ? read_identity_key(files_, directory_)
                                  : take_shared_key();
    if (!identity_key) return std::unexpected(identity_key.error());
    auto signing = SigningKey::load(files_, directory_);
    if (!signing) return std::unexpected(signing.error());
    for (SegmentSummary& segment : found_.segments) {
      const bool full = segment.counts.number != found_.end.segment;
      if (segment.sealed || !full) continue;
      const Seal seal{found_.meta->id, segment.counts, now_ns()};
      if (auto done = write_seal(files_, directory_, seal, *signing); !done) {
        return std::unexpected(done.error());
      }
      segment.sealed = true;
    }
    std::uint64_t highest = std::max(found_.retired.through, found_.end.segment);
    for (const std::uint64_t spare : found_.spares) highest = std::max(highest, spare);
    for (const Gap& gap : found_.gaps) highest = std::max(highest, gap.segment);
    return Recovered{.lock = std::move(lock),
                     .direct = direct_,
                     .meta = *found_.meta,
                     .identity_key = *identity_key,
                     .signing = std::move(*signing),
                     .retired = found_.retired,
                     .gaps = std::move(found_.gaps),
                     .segments = std::move(found_.segments),
                     .spares = std::move(found_.spares),
                     .end = found_.end,
                     .highest_segment = highest};
  }

  const StoreOptions& options_;
  FileLayer& files_;
  telemetry::Registry& metrics_;
  const path& directory_;
  bool direct_ = false;
  Inspection found_;
};

}  // namespace

Result<Recovered> recover(const StoreOptions& options, FileLayer& files,
                          telemetry::Registry& metrics) {
  return Recovery(options, files, metrics).run();
}

}  // namespace trialwire::journal
