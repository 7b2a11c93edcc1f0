// SPDX-License-Identifier: Apache-2.0
// What is on disk when the index is opened → what is done with it:
//
//   an unfinished run (".tmp")                    removed: the journal still has its records
//   a run within the range of a larger one        removed: a merge had replaced it
//   a run of sequences that are forgotten         removed: it was dropped on purpose
//   a run beyond the journal's end                removed: it lists records that are not there
//   a run of another journal                      refused, both journals named
//   a damaged run (removed); a range without one  logged; rebuilt from the journal's records;
//                                                 those that are deleted are logged as lost
#include <algorithm>

#include "journal/dedupe.hpp"
#include "telemetry/log.hpp"

namespace trialwire::journal {
namespace {

using telemetry::LogLevel;

struct FoundRun {
  SequenceRange range;
  std::filesystem::path path;
};

/// Runs by their names, oldest first, left-overs removed.
Result<std::vector<FoundRun>> list_runs(FileLayer& files, const std::filesystem::path& directory,
                                        std::uint64_t next_sequence) {
  auto names = files.list(directory);
  if (!names) return std::unexpected(names.error());
  std::vector<FoundRun> found;
  for (const std::string& name : *names) {
    if (is_unfinished_run(name)) {
      if (auto removed = files.remove(directory / name); !removed) {
        return std::unexpected(removed.error());
      }
    } else if (auto range = parse_run_name(name)) {
      found.push_back({*range, directory / name});
    }
  }
  std::ranges::sort(found, [](const FoundRun& a, const FoundRun& b) {
    return a.range.first != b.range.first ? a.range.first < b.range.first
                                          : a.range.last > b.range.last;
  });
  std::vector<FoundRun> kept;
  for (FoundRun& run : found) {
    const bool beyond = run.range.last >= next_sequence;
    if (beyond) {
      telemetry::log(
          LogLevel::warn, "journal", "identity index is ahead of the journal: dropped",
          {{"file", std::string_view(run.path.native())}, {"next_sequence", next_sequence}});
    }
    if (beyond || run.range.empty() ||
        (!kept.empty() && kept.back().range.last >= run.range.first)) {
      if (auto removed = files.remove(run.path); !removed) return std::unexpected(removed.error());
    } else {
      kept.push_back(std::move(run));
    }
  }
  return kept;
}

void log_damage(const Error& error) {
  telemetry::log(LogLevel::error, "journal", "identity index is damaged: rebuilt from the journal",
                 {{"detail", std::string_view(error.text)}});
}

/// A journal's file that is of another one: that is a mix-up of directories, not damage.
bool is_foreign(const Error& error) {
  return error.code == ErrorCode::corrupt &&
         error.text.find("belongs to journal") != error.text.npos;
}

}  // namespace

Result<std::vector<RunReader>> DedupeIndex::open_runs(std::uint64_t next_sequence) {
  auto found = list_runs(files_, options_.directory, next_sequence);
  if (!found) return std::unexpected(found.error());
  std::vector<RunReader> readers;
  for (const FoundRun& run : *found) {
    auto reader = RunReader::open(files_, run.path, options_.journal);
    if (!reader) {
      if (reader.error().code != ErrorCode::corrupt || is_foreign(reader.error())) {
        return std::unexpected(reader.error());
      }
      log_damage(reader.error());
      if (auto removed = files_.remove(run.path); !removed) return std::unexpected(removed.error());
      continue;
    }
    readers.push_back(std::move(*reader));
  }
  return readers;
}

Result<bool> DedupeIndex::load_run(RunReader& reader) {
  // Entries come in the order of the tag table's lines and, within a partition, of their arrival:
  // the oldest of a line are forgotten first, as if there had been no restart.
  while (true) {
    auto block = reader.next_block();
    if (!block) {
      if (block.error().code != ErrorCode::corrupt) return std::unexpected(block.error());
      log_damage(block.error());
      return false;
    }
    if (block->empty()) break;
    for (const DedupeEntry& entry : *block) tags_.insert(entry.identity, era_);
  }
  joined_ += reader.head().entries;
  return true;
}

Result<void> DedupeIndex::spill_now(SequenceRange range) {
  auto spilled = keeper_.spill_now(*active_, range, era_);
  if (spilled) count_run(active_->size());
  active_->clear();
  held_bytes_ = 0;
  return spilled;
}

Result<void> DedupeIndex::rebuild(SequenceRange range, JournalExtent extent, const Replay& replay) {
  if (range.empty()) return {};
  if (range.first < extent.first_sequence) {
    const std::uint64_t last = std::min(range.last, extent.first_sequence - 1);
    telemetry::log(LogLevel::error, "journal",
                   "identities are lost: their segments are deleted; retries of these are not seen",
                   {{"first_sequence", range.first}, {"last_sequence", last}});
    lost_.add(last - range.first + 1);
  }
  active_first_ = range.first;
  const SequenceRange held{std::max(range.first, extent.first_sequence), range.last};
  if (held.empty()) return {};
  Result<void> spilled;
  auto take = [&](const Record& record) {
    const RecordAttributes& a = record.attributes;
    if (!spilled || !has_identity(a.identity)) return;
    if (holds_enough()) {
      spilled = spill_now({active_first_, record.sequence - 1});
      active_first_ = record.sequence;
    }
    // At most: as if it had been alone in its batch.
    held_bytes_ += record.bytes.size() + 2 * block_bytes;
    join({a.identity, a.content_hash, record.sequence,
          DedupeEntry::pack(a.received_ns, record.epoch)},
         false);
  };
  if (auto replayed = replay(held, take); !replayed) return replayed;
  return spilled;
}

Result<void> DedupeIndex::load(JournalExtent extent, const Replay& replay) {
  auto readers = open_runs(extent.next_sequence);
  if (!readers) return std::unexpected(readers.error());
  std::uint64_t forgotten_below = 1;
  for (const RunReader& reader : *readers) {
    forgotten_below = std::max(forgotten_below, reader.head().forgotten_below);
  }
  keeper_.set_forgotten_below(forgotten_below);
  std::uint64_t expected = forgotten_below;
  for (RunReader& reader : *readers) {
    const SequenceRange range = reader.head().range;
    const auto path = options_.directory / run_name(range);
    if (range.last < forgotten_below) {
      if (auto removed = files_.remove(path); !removed) return removed;
      continue;
    }
    if (range.first > expected) {
      if (auto r = rebuild({expected, range.first - 1}, extent, replay); !r) return r;
      if (auto r = spill_now({active_first_, range.first - 1}); !r) return r;
      expected = range.first;
    }
    auto loaded = load_run(reader);
    if (!loaded) return std::unexpected(loaded.error());
    if (!*loaded) {  // a gap now, like a missing one
      if (auto removed = files_.remove(path); !removed) return removed;
      continue;
    }
    const std::uint64_t era = era_;
    count_run(reader.head().entries);
    keeper_.adopt(std::move(reader).finish(era));
    expected = range.last + 1;
  }
  active_first_ = expected;
  return rebuild({expected, extent.next_sequence - 1}, extent, replay);
}

}  // namespace trialwire::journal
