// SPDX-License-Identifier: Apache-2.0
#include "journal/offline.hpp"

#include <fmt/format.h>

#include "journal/segment_reader.hpp"

namespace trialwire::journal {
namespace {

using std::filesystem::path;

struct Held {
  std::unique_ptr<DirectoryLock> lock;
  Inspection found;
};

Error told_to_stop(Error error) {
  if (error.code == ErrorCode::unavailable) error.text += ": stop the server first";
  return error;
}

Result<Held> hold_and_inspect(const path& directory, FileLayer& files,
                              const InspectOptions& options) {
  const auto names = files.list(directory);
  if (!names) return std::unexpected(names.error());
  const auto no_journal =
      fail(ErrorCode::not_found, fmt::format("there is no journal in {}", directory.native()));
  // Before the lock, which would leave a file in someone else's directory.
  if (classify(*names).empty_of_journal()) return no_journal;
  auto lock = files.lock_for_reading(directory / lock_name);
  if (!lock) return std::unexpected(told_to_stop(lock.error()));
  auto found = inspect(directory, files, options);
  if (!found) return std::unexpected(found.error());
  return Held{std::move(*lock), std::move(*found)};
}

Result<void> check_range(const CatRange& range, std::uint64_t first, std::uint64_t next) {
  if (range.to < range.from) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("--to {} is before --from {}", range.to, range.from));
  }
  if (range.from == 0 && range.to >= first) return {};
  if (range.from < first) {
    return fail(ErrorCode::not_found,
                fmt::format("sequences before {} are deleted: the journal holds {} to {}", first,
                            first, next - 1));
  }
  if (range.from >= next) {
    return fail(ErrorCode::not_found,
                fmt::format("sequence {} is not written yet: the next is {}", range.from, next));
  }
  return {};
}

JournalInfo info_of(const Inspection& found) {
  JournalInfo info;
  info.meta = found.meta.value_or(JournalMeta{});
  info.retired = found.retired;
  info.gaps = found.gaps;
  info.consumers = found.consumers;
  info.unknown = unknown_end(found);
  info.segments = found.segments;
  info.spares = found.spares.size();
  info.next_sequence = info.first_sequence = found.end.next_sequence;
  info.epoch = found.end.epoch;
  if (!found.segments.empty()) info.first_sequence = found.segments.front().counts.first_sequence;
  for (const SegmentSummary& segment : found.segments) {
    info.records += segment.counts.records;
    info.payload_bytes += segment.counts.payload_bytes;
  }
  for (const SegmentScan& scan : found.scans) info.disk_bytes += scan.size;
  if (const Finding* refusal = found.refusal()) info.refusal = refusal->line();
  return info;
}

class HeldJournal final : public JournalAtRest {
 public:
  HeldJournal(path directory, FileLayer& files, Held held)
      : directory_(std::move(directory)),
        files_(files),
        held_(std::move(held)),
        info_(info_of(held_.found)),
        ledger_(info_.meta.id, held_.found.segments, 0, info_.next_sequence) {}

  const JournalInfo& info() const noexcept override { return info_; }
  std::uint64_t sealed_end() const noexcept override {
    std::uint64_t end = info_.first_sequence;
    for (const SegmentSummary& segment : info_.segments) {
      if (segment.sealed) end = segment.counts.next_sequence;
    }
    return end;
  }
  std::unique_ptr<SegmentReader> read(std::uint64_t from) override {
    return std::make_unique<DiskReader>(
        DiskReaderOptions{directory_, info_.meta.id, false, info_.gaps}, files_, ledger_, from);
  }

 private:
  const path directory_;
  FileLayer& files_;
  const Held held_;
  const JournalInfo info_;
  const SegmentLedger ledger_;
};

}  // namespace

Result<JournalInfo> journal_info(const path& directory, FileLayer& files,
                                 const AskConsumers& consumers) {
  const auto held =
      hold_and_inspect(directory, files, {.consumers = consumers, .headers_alone = true});
  if (!held) return std::unexpected(held.error());
  return info_of(held->found);
}

Result<std::unique_ptr<JournalAtRest>> JournalAtRest::open(const path& directory,
                                                           FileLayer& files) {
  auto held = hold_and_inspect(directory, files, {.headers_alone = true});
  if (!held) return std::unexpected(held.error());
  if (const Finding* why = held->found.refusal()) return fail(ErrorCode::corrupt, why->line());
  return std::make_unique<HeldJournal>(directory, files, std::move(*held));
}

Result<VerifyReport> journal_verify(const path& directory, FileLayer& files,
                                    const VerifyOptions& options) {
  auto held = hold_and_inspect(
      directory, files,
      {.consumers = options.consumers, .thorough = true, .threads = options.threads});
  if (!held) return std::unexpected(held.error());
  Inspection& found = held->found;
  VerifyReport report;
  report.findings = std::move(found.findings);
  for (const Finding& finding : report.findings) report.problems += refuses(finding.what) ? 1 : 0;
  report.segments = found.scans.size();
  for (const SegmentSummary& segment : found.segments) {
    report.batches += segment.counts.batches;
    report.records += segment.counts.records;
    report.payload_bytes += segment.counts.payload_bytes;
  }
  report.next_sequence = found.end.next_sequence;
  report.unknown = unknown_end(found);
  report.gaps = std::move(found.gaps);
  report.consumers = std::move(found.consumers);
  return report;
}

Result<void> journal_cat(const path& directory, FileLayer& files, const CatRange& range,
                         const std::function<bool(const Uuid&, const Record&)>& each) {
  const auto held = hold_and_inspect(directory, files, {.headers_alone = true});
  if (!held) return std::unexpected(held.error());
  const Inspection& found = held->found;
  const auto refused = [&]() -> Result<void> {
    if (const Finding* why = found.refusal()) return fail(ErrorCode::corrupt, why->line());
    return {};
  };
  if (!found.meta) return refused();
  const SegmentLedger ledger(found.meta->id, found.segments, 0, found.end.next_sequence);
  if (auto there = check_range(range, ledger.first_sequence(), found.end.next_sequence); !there) {
    return there;
  }
  DiskReader reader({directory, found.meta->id, false, found.gaps}, files, ledger, range.from);
  std::vector<Record> records;
  while (reader.next_sequence() <= range.to) {
    const auto batch = reader.next();
    if (!batch) return std::unexpected(batch.error());
    if (*batch == nullptr) return refused();
    records.clear();
    if (!decode_batch(**batch, records)) {
      return fail(ErrorCode::corrupt,
                  fmt::format("{}: offset {}: the batch's records cannot be decoded",
                              (directory / segment_name((*batch)->head.segment)).native(),
                              (*batch)->head.offset));
    }
    for (const Record& record : records) {
      if (record.sequence > range.to || !each(found.meta->id, record)) return {};
    }
  }
  return {};
}

}  // namespace trialwire::journal
