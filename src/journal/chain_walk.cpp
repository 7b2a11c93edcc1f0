// SPDX-License-Identifier: Apache-2.0
#include "journal/chain_walk.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace trialwire::journal {

ChainWalk::ChainWalk(const std::filesystem::path& directory, const InspectOptions& options,
                     Inspection& found)
    : directory_(directory), options_(options), found_(found) {
  const Retired& retired = found.retired;
  state_.hash = retired.through == 0 ? genesis_hash(found.meta->id) : retired.chain_head;
  state_.next_sequence = retired.next_sequence;
}

void ChainWalk::add(RecoveryCase what, std::string name, std::uint64_t offset, std::string text) {
  found_.findings.push_back({what, directory_ / name, offset, std::move(text)});
}

void ChainWalk::run() {
  for (const SegmentScan& scan : found_.scans) {
    if (!scan.pieces.empty()) last_with_data_ = scan.number;
  }
  std::uint64_t expected = found_.retired.through + 1;
  for (const SegmentScan& scan : found_.scans) {
    if (scan.number > expected) missing(expected, scan.number - 1);
    expected = scan.number + 1;
    walk(scan);
  }
  std::uint64_t newest = 0;
  for (const FoundSeal& seal : found_.seals) newest = std::max(newest, seal.number);
  for (const Gap& gap : found_.gaps) {
    if (gap.bytes == found_.meta->segment_bytes) newest = std::max(newest, gap.segment);
  }
  if (newest >= expected) missing(expected, newest);
  finish();
}

void ChainWalk::missing(std::uint64_t from, std::uint64_t to) {
  for (; from <= to; ++from) {
    const auto gap = std::find_if(found_.gaps.begin(), found_.gaps.end(), [&](const Gap& each) {
      return each.segment == from && each.offset == 0 && each.bytes == found_.meta->segment_bytes;
    });
    if (gap == found_.gaps.end()) break;
    walk({.number = from}, *gap);
  }
  if (from > to) return;
  const std::string which = from == to ? fmt::format("segment {} is", from)
                                       : fmt::format("segments {} to {} are", from, to);
  add(RecoveryCase::segment_missing, segment_name(from), 0,
      which + " missing and not deleted by policy");
  state_.hash_known = state_.sequence_known = false;
}

void ChainWalk::walk(const SegmentScan& scan) {
  if (scan.size != found_.meta->segment_bytes) {
    add(RecoveryCase::segment_size, segment_name(scan.number), scan.size,
        fmt::format("the file is {} bytes long, a segment of this journal is {}", scan.size,
                    found_.meta->segment_bytes));
  }
  if (scan.pieces.empty()) {
    if (scan.number > last_with_data_) found_.spares.push_back(scan.number);
    return;
  }
  SegmentSummary summary;
  summary.counts.number = scan.number;
  bool first = true;
  bool damaged = false;
  for (const Piece& piece : scan.pieces) {
    const bool last = scan.number == last_with_data_ && &piece == &scan.pieces.back();
    if (const BatchRun* run = std::get_if<BatchRun>(&piece)) {
      walk(scan, *run);
      if (first) summary.counts.first_sequence = run->first_sequence;
      first = false;
      summary.counts.batches += run->batches;
      summary.counts.records += run->records;
      summary.counts.payload_bytes += run->payload_bytes;
      summary.end_offset = run->end;
      summary.committed_ns = run->committed_ns;
    } else if (const Damage* damage = std::get_if<Damage>(&piece)) {
      walk(scan, *damage, last);
      damaged = true;
    } else {
      const Gap& gap = std::get<Gap>(piece);
      walk(scan, gap);
      summary.end_offset = std::min(gap.offset + gap.bytes, found_.meta->segment_bytes);
    }
  }
  if (first) summary.counts.first_sequence = state_.next_sequence;
  summary.counts.next_sequence = state_.next_sequence;
  summary.counts.chain_head = state_.hash;
  check_seal(summary, damaged);
  found_.segments.push_back(summary);
}

bool ChainWalk::fits(const SegmentScan& scan, std::uint64_t offset, const Sha256& previous,
                     std::uint64_t first_sequence, std::uint32_t epoch) {
  const std::string name = segment_name(scan.number);
  if (state_.hash_known && previous != state_.hash) {
    add(RecoveryCase::chain_broken, name, offset,
        "the batch does not carry the hash of the header before it");
    return false;
  }
  if (state_.sequence_known && first_sequence != state_.next_sequence) {
    add(RecoveryCase::sequence_gap, name, offset,
        fmt::format("the batch begins with sequence {}, {} was to follow", first_sequence,
                    state_.next_sequence));
    return false;
  }
  if (epoch < state_.epoch) {
    add(RecoveryCase::sequence_gap, name, offset,
        fmt::format("the batch is of epoch {}, the one before it of {}", epoch, state_.epoch));
    return false;
  }
  return true;
}

void ChainWalk::walk(const SegmentScan& scan, const BatchRun& run) {
  fits(scan, run.offset, run.previous, run.first_sequence, run.first_epoch);
  state_ = {run.head, run.next_sequence, run.last_epoch, true, true};
  highest_epoch_ = std::max(highest_epoch_, run.last_epoch);
  found_.last_batch = BatchExtent{scan.number, run.last_batch, run.end - run.last_batch};
}

void ChainWalk::walk(const SegmentScan& scan, const Gap& gap) {
  add(RecoveryCase::repaired_gap, segment_name(scan.number), gap.offset,
      gap.lost_from < gap.resume_sequence
          ? fmt::format("sequences {} to {} were lost and removed by a repair", gap.lost_from,
                        gap.resume_sequence - 1)
          : std::string("bytes without records were removed by a repair"));
  newest_gap_ = std::max(newest_gap_, gap.segment);
  state_.hash = gap.resume_previous;
  state_.next_sequence = gap.resume_sequence;
  state_.hash_known = state_.sequence_known = true;
  state_.epoch = 0;  // what the lost batches would have said is not known
}

bool ChainWalk::cut_off(const SegmentScan& scan, const Damage& damage) {
  const std::string name = segment_name(scan.number);
  const std::uint64_t extent = damage.end - damage.offset;
  if (damage.what == RecoveryCase::torn_header) {
    if (extent > options_.batch_extent_max) {
      add(RecoveryCase::data_without_header, name, damage.offset,
          fmt::format("{} bytes of data without a header, the largest batch is {}", extent,
                      options_.batch_extent_max));
      return true;
    }
  } else if (damage.what != RecoveryCase::torn_tail) {
    return false;
  } else if (!fits(scan, damage.offset, damage.previous, damage.first_sequence, damage.epoch)) {
    return true;
  }
  if (was_read(scan, damage)) return true;
  add(damage.what, name, damage.offset,
      fmt::format("the last batch is torn and was never acknowledged: {} bytes cut off", extent));
  found_.cut = BatchExtent{scan.number, damage.offset, extent};
  return true;
}

/// Whoever read it had it whole: it was acknowledged, and was damaged later.
bool ChainWalk::was_read(const SegmentScan& scan, const Damage& damage) {
  const ConsumerCursor* furthest = found_.consumers.furthest();
  if (furthest == nullptr || !state_.sequence_known ||
      furthest->next_sequence <= state_.next_sequence) {
    return false;
  }
  add(RecoveryCase::cursor_beyond_tail, segment_name(scan.number), damage.offset,
      fmt::format(
          "the last batch, from sequence {} on, looks torn, but {} has read to sequence {}: "
          "it was whole, and was damaged later",
          state_.next_sequence, furthest->consumer, furthest->next_sequence - 1));
  state_.hash_known = state_.sequence_known = false;
  return true;
}

void ChainWalk::check_cursors() {
  if (!state_.sequence_known) return;
  for (const ConsumerCursor& cursor : found_.consumers.cursors) {
    if (cursor.next_sequence <= state_.next_sequence) continue;
    add(RecoveryCase::cursor_beyond_tail,
        segment_name(std::max<std::uint64_t>(1, found_.end.segment)), found_.end.offset,
        fmt::format("{} has read to sequence {}: a cursor at sequence {} is beyond the end of "
                    "journal {}, whose next sequence is {}: was the journal restored from an older "
                    "copy? `trialwire journal repair --apply --resume-at {}` lets it go on behind "
                    "the cursor",
                    cursor.consumer, cursor.next_sequence - 1, cursor.next_sequence,
                    found_.meta->id.text(), state_.next_sequence, cursor.next_sequence));
  }
}

void ChainWalk::walk(const SegmentScan& scan, const Damage& damage, bool last) {
  if (last && !damage.followed && scan.size == found_.meta->segment_bytes &&
      cut_off(scan, damage)) {
    return;
  }
  const bool torn =
      damage.what == RecoveryCase::torn_tail || damage.what == RecoveryCase::torn_header;
  add(torn ? RecoveryCase::torn_but_followed : damage.what, segment_name(scan.number), damage.at,
      damage.text + (torn ? ", and more follows it" : ""));
  const bool good = !damage.sequences_known ||
                    fits(scan, damage.offset, damage.previous, damage.first_sequence, damage.epoch);
  state_.hash = damage.hash;
  state_.hash_known = damage.header_known && good;
  if (damage.sequences_known) {
    state_.next_sequence = damage.next_sequence;
    state_.epoch = damage.epoch;
  }
  state_.sequence_known = damage.sequences_known;
}

void ChainWalk::check_seal(SegmentSummary& summary, bool damaged) {
  const SealedSegment& counts = summary.counts;
  const auto seal =
      std::find_if(found_.seals.begin(), found_.seals.end(),
                   [&](const FoundSeal& each) { return each.number == counts.number; });
  summary.sealed = seal != found_.seals.end();
  if (!summary.sealed) {
    if (counts.number != last_with_data_) {
      add(RecoveryCase::seal_missing, segment_name(counts.number), 0, "full, but not sealed");
    }
    return;
  }
  if (!seal->seal || damaged) return;  // already said
  const SealedSegment& said = seal->seal->segment;
  const std::string name = seal_name(counts.number);
  if (seal->seal->journal != found_.meta->id) {
    add(RecoveryCase::foreign_journal, name, 0,
        fmt::format("the seal is of journal {}, this is journal {}", seal->seal->journal.text(),
                    found_.meta->id.text()));
  } else if (said != counts) {
    add(RecoveryCase::seal_wrong, name, 0,
        fmt::format("the seal does not match its segment: it says sequences {} to {} in {} "
                    "batches, there are {} to {} in {}",
                    said.first_sequence, said.next_sequence - 1, said.batches,
                    counts.first_sequence, counts.next_sequence - 1, counts.batches));
  }
}

void ChainWalk::finish() {
  found_.end = {state_.next_sequence, state_.hash, highest_epoch_, 0, 0};
  if (!found_.segments.empty()) {
    const SegmentSummary& last = found_.segments.back();
    found_.end.segment = last.counts.number;
    // A sealed segment is never written to again, nor is one before a gap: the order of the files
    // is the order of the chain.
    const bool closed = last.sealed || newest_gap_ > last.counts.number;
    found_.end.offset = closed ? found_.meta->segment_bytes : last.end_offset;
  }
  std::erase_if(found_.spares, [&](std::uint64_t spare) { return spare < newest_gap_; });
  for (const std::uint64_t spare : found_.spares) {
    add(RecoveryCase::spare_segment, segment_name(spare), 0, "written with zeros, not yet used");
  }
  check_cursors();
  if (!found_.cut && found_.refusal() == nullptr) {
    add(RecoveryCase::clean_tail, segment_name(std::max<std::uint64_t>(1, found_.end.segment)),
        found_.end.offset, fmt::format("the next sequence is {}", found_.end.next_sequence));
  }
}

}  // namespace trialwire::journal
