// SPDX-License-Identifier: Apache-2.0
#include "archive/archived_journal.hpp"

#include <utility>

#include <fmt/format.h>

#include "archive/archive_reader.hpp"
#include "telemetry/log.hpp"

namespace trialwire::archive {

using journal::Batch;
using journal::Cursor;
using telemetry::LogLevel;

/// From the archive to the journal, once.
class ArchivedJournal::SplicedReader final : public journal::Reader {
 public:
  SplicedReader(ArchivedJournal& source, const Cursor& from) : source_(source), from_(from) {}

  Result<Batch*> next(std::chrono::milliseconds wait, std::stop_token stop) override {
    if (journal_reader_ == nullptr && from_.next_sequence < oldest_in_journal()) {
      batch_.records.clear();
      batch_.first_sequence = from_.next_sequence;
      if (stop.stop_requested()) return &batch_;
      const auto read = from_archive();
      if (!read) {
        archived_.reset();
        return std::unexpected(read.error());
      }
      if (*read) return &batch_;
    }
    if (journal_reader_ == nullptr) {
      auto opened = source_.journal_.read(from_);
      if (!opened) return std::unexpected(opened.error());
      journal_reader_ = std::move(*opened);
      archived_.reset();
    }
    return journal_reader_->next(wait, std::move(stop));
  }

  Cursor position() const override {
    return journal_reader_ != nullptr ? journal_reader_->position() : from_;
  }

  Result<void> seek(const Cursor& cursor) override {
    if (journal_reader_ != nullptr && cursor.next_sequence >= oldest_in_journal()) {
      return journal_reader_->seek(cursor);
    }
    journal_reader_.reset();
    archived_.reset();
    from_ = cursor;
    return {};
  }

 private:
  std::uint64_t oldest_in_journal() const { return source_.journal_.begin().next_sequence; }

  /// True: `batch_` holds the next records. False: the journal has what follows.
  Result<bool> from_archive() {
    if (archived_ == nullptr) {
      asked_at_ = oldest_in_journal();
      auto numbers = source_.ask_archive();
      if (!numbers) return std::unexpected(numbers.error());
      archived_ = std::make_unique<ArchiveReader>(source_.archive_, std::move(*numbers),
                                                  from_.next_sequence);
    }
    const auto view = archived_->next();
    if (!view) return std::unexpected(view.error());
    if (*view == nullptr) {
      const std::uint64_t oldest = oldest_in_journal();
      if (from_.next_sequence >= oldest) return false;
      if (oldest != asked_at_) {
        // The journal has deleted more meanwhile: that is archived by now.
        archived_.reset();
        return from_archive();
      }
      return fail(
          ErrorCode::not_found,
          fmt::format("sequences {} to {} of journal {} are neither in the journal nor in {}",
                      from_.next_sequence, oldest - 1, from_.journal.text(),
                      source_.archive_.store().url()));
    }
    if (!journal::decode_batch(**view, batch_.records)) {
      batch_.records.clear();
      return fail(ErrorCode::corrupt,
                  fmt::format("archived segment {:x}: offset {}: the batch holds "
                              "no sequence of records",
                              (*view)->head.segment, (*view)->head.offset));
    }
    from_.next_sequence = archived_->next_sequence();
    return true;
  }

  ArchivedJournal& source_;
  Cursor from_;
  Batch batch_;
  std::unique_ptr<ArchiveReader> archived_;
  std::uint64_t asked_at_ = 0;  // the journal's begin when the archive was asked for `archived_`
  std::unique_ptr<journal::Reader> journal_reader_;
};

ArchivedJournal::ArchivedJournal(journal::Journal& journal, storage::ObjectStore& store)
    : journal_(journal), archive_(store, journal.begin().journal) {
  oldest_joined(journal_.begin().next_sequence);
}

/// Which segments it has, the newest ones between which none is missing.
Result<std::vector<std::uint64_t>> ArchivedJournal::ask_archive() const {
  // First the journal: what it deletes after this is in what the archive says, or nobody's loss.
  const std::uint64_t journal_begin = journal_.begin().next_sequence;
  auto run = newest_archived_run();
  std::uint64_t oldest = 0;
  if (!run) {
    oldest = 1;
  } else if (!run->segments.empty() && run->next_sequence >= journal_begin) {
    oldest = run->first_sequence;
  }
  {
    const std::lock_guard lock(answer_mutex_);
    answer_ = {.journal_begin = journal_begin, .oldest = oldest};
  }
  if (!run) return std::unexpected(run.error());
  return std::move(run->segments);
}

Result<ArchivedJournal::Run> ArchivedJournal::newest_archived_run() const {
  auto numbers = archive_.numbers();
  if (!numbers) return std::unexpected(numbers.error());
  auto segments = newest_run(archive_, std::move(*numbers));
  if (!segments) return std::unexpected(segments.error());
  if (segments->empty()) return Run{};
  const auto newest = archive_.manifest(segments->back());
  if (!newest) return std::unexpected(newest.error());
  const auto first = archive_.manifest(segments->front());
  if (!first) return std::unexpected(first.error());
  return Run{.segments = std::move(*segments),
             .first_sequence = first->segment.first_sequence,
             .next_sequence = newest->segment.next_sequence};
}

/// In the archive, when the journal begins there; 0: nothing that joins it. What the archive said
/// last holds until the journal deletes more.
std::uint64_t ArchivedJournal::oldest_joined(std::uint64_t journal_begin) const {
  {
    const std::lock_guard lock(answer_mutex_);
    if (answer_.journal_begin == journal_begin) return answer_.oldest;
  }
  if (const auto asked = ask_archive(); !asked) {
    telemetry::log(LogLevel::warn, "archive",
                   "the archive cannot be asked what it has: who needs it waits for it",
                   {{"error", std::string_view(asked.error().text)}});
  }
  const std::lock_guard lock(answer_mutex_);
  return answer_.oldest;
}

Cursor ArchivedJournal::begin() const {
  Cursor begin = journal_.begin();
  const std::uint64_t oldest = oldest_joined(begin.next_sequence);
  if (oldest != 0 && oldest < begin.next_sequence) begin.next_sequence = oldest;
  return begin;
}

Result<std::unique_ptr<journal::Reader>> ArchivedJournal::read(const Cursor& from) {
  const Cursor begin = this->begin();
  const bool archived = from.journal == begin.journal &&
                        from.next_sequence >= begin.next_sequence &&
                        from.next_sequence < journal_.begin().next_sequence;
  if (!archived) return journal_.read(from);
  telemetry::log(LogLevel::info, "archive", "a consumer reads from the archive",
                 {{"from", from.next_sequence}, {"journal_from", journal_.begin().next_sequence}});
  return std::make_unique<SplicedReader>(*this, from);
}

}  // namespace trialwire::archive
