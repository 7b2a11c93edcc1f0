// SPDX-License-Identifier: Apache-2.0
#include "journal/dedupe.hpp"

#include <algorithm>
#include <bit>

#include "base/check.hpp"

namespace trialwire::journal {
namespace {

// Beyond this the committer waits for the background thread; in halves of a generation.
constexpr std::size_t room_halves = 3;

std::int64_t to_ms(std::chrono::nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

}  // namespace

DedupeIndex::Sizes DedupeIndex::sizes_for(const DedupeOptions& options) {
  Sizes sizes;
  sizes.generation = options.generation;
  if (sizes.generation == 0) {
    sizes.generation = std::clamp<std::size_t>(std::bit_floor(options.bytes / 512), 256, 1 << 17);
  }
  // One and a half generations of entries, two hash indexes, a merge's buffers and, of the rest,
  // lines of tags, each with what its identities take in runs: 4 bytes for a block of 102.
  const std::size_t hot = sizes.generation * (sizeof(DedupeEntry) * 3 / 2 + 2 * 8);
  const std::size_t buffers = std::min<std::size_t>(options.bytes / 16, 5 << 20);
  const std::size_t fixed = std::min(hot + buffers, options.bytes * 3 / 4);
  constexpr std::size_t line = TagTable::line_bytes;
  constexpr std::size_t in_runs = TagTable::expected_per_line * 4 / run_block_entries + 1;
  sizes.tag_bytes = (options.bytes - fixed) / (line + in_runs) * line;
  return sizes;
}

DedupeIndex::DedupeIndex(const DedupeOptions& options, Sizes sizes, FileLayer& files,
                         telemetry::Registry& metrics)
    : options_(options),
      generation_(sizes.generation),
      window_ms_(to_ms(options.window)),
      files_(files),
      tags_(options.window.count() == 0 ? 0 : sizes.tag_bytes),
      active_(std::make_unique<HotTable>(sizes.generation)),
      sealed_(std::make_unique<HotTable>(sizes.generation)),
      disk_lookups_(metrics.counter("trialwire_dedupe_disk_lookups_total",
                                    "Look-ups in files of the identity index.")),
      lost_(metrics.counter("trialwire_dedupe_lost_sequences_total",
                            "Sequences whose identities could not be restored at start.")),
      indexed_(metrics.gauge("trialwire_dedupe_identities",
                             "Identities in the index, up to its capacity.")),
      capacity_(metrics.gauge("trialwire_dedupe_capacity",
                              "Newest identities that are recognised for certain.")),
      keeper_(files,
              RunKeeperOptions{.directory = options.directory,
                               .journal = options.journal,
                               .generation = sizes.generation,
                               .fan_in = options.fan_in,
                               .capacity = tags_.capacity(),
                               .window_ms = window_ms_,
                               .retry = options.retry},
              metrics) {
  capacity_.set(static_cast<double>(tags_.capacity()));
}

DedupeIndex::~DedupeIndex() {
  stop();
}

Result<std::unique_ptr<DedupeIndex>> DedupeIndex::open(const DedupeOptions& options,
                                                       FileLayer& files,
                                                       telemetry::Registry& metrics,
                                                       JournalExtent extent, const Replay& replay) {
  std::unique_ptr<DedupeIndex> index(new DedupeIndex(options, sizes_for(options), files, metrics));
  if (options.window.count() > 0) {
    if (auto loaded = index->load(extent, replay); !loaded) {
      return std::unexpected(loaded.error());
    }
  }
  index->refresh();
  return index;
}

void DedupeIndex::start() {
  if (enabled()) keeper_.start();
}
void DedupeIndex::stop() {
  keeper_.stop();
}

void DedupeIndex::refresh() {
  const std::uint64_t version = keeper_.version();
  if (version == version_) return;
  version_ = version;
  auto view = keeper_.view();
  runs_ = std::move(view.runs);
  if (spilling_ && !view.spilling) {
    // In the same view as the run that has taken its place: an identity is never in neither.
    sealed_->clear();
    spilling_ = false;
  }
}

Result<void> DedupeIndex::begin_batch() {
  refresh();
  if (active_->size() * 2 < generation_ * room_halves || !spilling_) return {};
  keeper_.wait_spilled();
  const auto failure = keeper_.view().failure;
  refresh();
  if (!spilling_) return {};
  return fail(failure.value_or(ErrorCode::unavailable), "the identity index cannot be written");
}

Result<const DedupeEntry*> DedupeIndex::find(const Hash128& identity, std::uint64_t eras) {
  if (eras == 0) [[likely]]
    return nullptr;
  auto may_be_in = [&](std::uint64_t era) { return (eras >> (era_ - era) & 1) != 0; };
  if (may_be_in(era_)) {
    if (const DedupeEntry* entry = active_->find(identity)) return entry;
  }
  if (spilling_ && may_be_in(sealed_era_)) {
    if (const DedupeEntry* entry = sealed_->find(identity)) return entry;
  }
  for (const auto& run : *runs_) {
    if (era_ - run->era() >= TagTable::eras) break;
    if (!may_be_in(run->era())) continue;
    disk_lookups_.add();
    auto entry = run->find(identity);
    if (!entry) return std::unexpected(entry.error());
    if (*entry) {
      found_ = **entry;
      return &found_;
    }
  }
  return nullptr;
}

void DedupeIndex::count_run(std::uint64_t entries) {
  era_entries_[0] += entries;
  if (era_entries_[0] >= tags_.era_entries()) {
    std::shift_right(era_entries_.begin(), era_entries_.end(), 1);
    era_entries_[0] = 0;
    ++era_;
  }
  // Where memory was larger before a restart, so are eras: fewer than the table's are within reach.
  std::uint64_t newer = 0;
  eras_asked_ = 0;
  for (unsigned back = 0; back < TagTable::eras && newer < tags_.capacity(); ++back) {
    eras_asked_ |= 1ULL << back;
    newer += era_entries_[back];
  }
}

Result<DedupeIndex::Answer> DedupeIndex::admit(const DedupeEntry& candidate) {
  if (!enabled() || !has_identity(candidate.identity)) return Answer{};
  const std::uint64_t eras = tags_.find(candidate.identity, era_) & eras_asked_;
  auto known = find(candidate.identity, eras);
  if (!known) return std::unexpected(known.error());
  if (*known != nullptr && candidate.received_ms() - (*known)->received_ms() <= window_ms_) {
    const bool same = (*known)->content_hash == candidate.content_hash;
    return Answer{same ? Verdict::duplicate : Verdict::conflict, **known};
  }
  // What this era says already needs no tag more: a group that conflicts, and is taken back and
  // sent again without end, crowds its lines no further.
  const bool tagged = (eras & 1) != 0;
  join(candidate, tagged);
  return Answer{};
}

void DedupeIndex::join(const DedupeEntry& entry, bool tagged) {
  if (!tagged) tags_.insert(entry.identity, era_);
  active_->insert(entry);
  ++joined_;
}

bool DedupeIndex::holds_enough() const noexcept {
  if (active_->size() >= generation_) return true;
  return options_.held_bytes_max > 0 && held_bytes_ >= options_.held_bytes_max;
}

void DedupeIndex::durable(std::uint64_t next_sequence, std::uint64_t bytes) {
  if (!enabled()) return;
  indexed_.set(static_cast<double>(std::min(joined_, tags_.capacity())));
  held_bytes_ += bytes;
  if (!holds_enough()) return;
  refresh();
  if (spilling_) return;
  std::swap(active_, sealed_);
  spilling_ = true;
  const SequenceRange range{active_first_, next_sequence - 1};
  active_first_ = next_sequence;
  held_bytes_ = 0;
  sealed_era_ = era_;
  keeper_.spill(*sealed_, range, sealed_era_);
  count_run(sealed_->size());
}

}  // namespace trialwire::journal
