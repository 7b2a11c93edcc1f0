// SPDX-License-Identifier: Apache-2.0
#include "journal/segment_scan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace trialwire::journal {
namespace {

// One system call per MiB when everything is read; when headers alone are, as little as needed.
constexpr std::size_t read_ahead = 1 << 20;
constexpr std::uint64_t hop_from_bytes = 64 << 10;

class Scanner {
 public:
  Scanner(const ScanOptions& options, ReadWindow& window, std::uint64_t size)
      : options_(options), window_(window) {
    scan_.number = options.number;
    scan_.size = size;
  }

  Result<SegmentScan> run() {
    while (at_ < window_.limit()) {
      const Result<bool> more = step();
      if (!more) return std::unexpected(more.error());
      if (!*more) break;
    }
    return std::move(scan_);
  }

 private:
  /// What follows an offset: the next batch of this place, and how far data reaches before it.
  struct Following {
    std::uint64_t batch = 0;     // the limit when there is none
    std::uint64_t data_end = 0;  // `from` when there is none
    bool found = false;
  };

  /// One piece or one batch further; false at the end of the data.
  Result<bool> step() {
    if (const Gap* gap = gap_here()) return take_gap(*gap);
    const auto block = window_.view(at_, block_bytes, hop_ ? block_bytes : read_ahead);
    if (!block) return std::unexpected(block.error());
    BatchHead head;
    const HeadState state = parse_head(*block, head);
    switch (state) {
      case HeadState::zero:
        return at_zero();
      case HeadState::no_magic:
        return add_unknown(at_ == 0 ? RecoveryCase::foreign_file : RecoveryCase::header_damaged,
                           "no batch begins here");
      case HeadState::damaged:
        return add_unknown(RecoveryCase::header_damaged, "the batch's head is damaged");
      case HeadState::unsupported:
        return add_unknown(RecoveryCase::unsupported_version,
                           fmt::format("the batch is of format version {}", head.version));
      case HeadState::valid:
        break;
    }
    if (head.journal != options_.journal) {
      return add_unknown(RecoveryCase::foreign_journal,
                         fmt::format("the batch is of journal {}, this is journal {}",
                                     head.journal.text(), options_.journal.text()));
    }
    if (head.segment != options_.number || head.offset != at_) {
      return add_unknown(
          RecoveryCase::misplaced_batch,
          fmt::format("the batch was written for segment {} offset {}", head.segment, head.offset));
    }
    if (head.bytes() > window_.limit() - at_) {
      return add_unknown(RecoveryCase::header_damaged, "the batch reaches over the file's end");
    }
    return take_batch(head);
  }

  const Gap* gap_here() noexcept {
    for (std::size_t i = gaps_used_; i < options_.gaps.size(); ++i) {
      const Gap& gap = options_.gaps[i];
      if (gap.segment != options_.number || gap.offset != at_) continue;
      gaps_used_ = i + 1;
      return &gap;
    }
    return nullptr;
  }

  Result<bool> take_gap(const Gap& gap) {
    const std::uint64_t end = std::min(at_ + gap.bytes, window_.limit());
    for (std::uint64_t at = at_; at < end;) {
      const std::size_t some = std::min<std::uint64_t>(read_ahead, end - at);
      const auto bytes = window_.view(at, some, some);
      if (!bytes) return std::unexpected(bytes.error());
      if (!all_zero(*bytes)) {
        return add_unknown(RecoveryCase::header_damaged,
                           "the gap that `repairs` lists here is not empty");
      }
      at += some;
    }
    scan_.pieces.emplace_back(gap);
    in_run_ = false;
    at_ = end;
    return true;
  }

  Result<Following> following(std::uint64_t from) {
    Following found{window_.limit(), from, false};
    while (from < window_.limit()) {
      const std::size_t some = std::min<std::uint64_t>(read_ahead, window_.limit() - from);
      const auto stretch = window_.view(from, some, some);
      if (!stretch) return std::unexpected(stretch.error());
      if (!all_zero(*stretch)) {
        for (std::size_t i = 0; i < some; i += block_bytes) {
          const ByteView block = stretch->subspan(i, block_bytes);
          BatchHead head;
          if (parse_head(block, head) == HeadState::valid && head.journal == options_.journal &&
              head.segment == options_.number && head.offset == from + i) {
            found.batch = from + i;
            found.found = true;
            return found;
          }
          if (!all_zero(block)) found.data_end = from + i + block_bytes;
        }
      }
      from += some;
    }
    return found;
  }

  Result<bool> at_zero() {
    const auto after = following(at_);
    if (!after) return std::unexpected(after.error());
    if (!after->found && after->data_end == at_) return false;
    Damage damage;
    damage.what = RecoveryCase::torn_header;
    damage.text = "zeros where a batch should begin, and data behind them";
    damage.offset = damage.at = at_;
    damage.followed = after->found;
    damage.end = after->found ? after->batch : after->data_end;
    return add(std::move(damage));
  }

  /// Damage of unknown extent.
  Result<bool> add_unknown(RecoveryCase what, std::string text) {
    const auto after = following(at_ + block_bytes);
    if (!after) return std::unexpected(after.error());
    Damage damage;
    damage.what = what;
    damage.text = std::move(text);
    damage.offset = damage.at = at_;
    damage.followed = after->found;
    damage.end = after->found ? after->batch : after->data_end;
    return add(std::move(damage));
  }

  Result<bool> add(Damage damage) {
    at_ = damage.end;
    in_run_ = false;
    scan_.pieces.emplace_back(std::move(damage));
    return true;
  }

  Result<bool> take_batch(const BatchHead& head) {
    const std::size_t header_blocks_bytes =
        (head.header_bytes + block_bytes - 1) / block_bytes * block_bytes;
    hop_ = !options_.payloads && head.bytes() > hop_from_bytes;
    const std::size_t bytes = options_.payloads ? head.bytes() : header_blocks_bytes;
    const auto batch = window_.view(at_, bytes, hop_ ? bytes : read_ahead);
    if (!batch) return std::unexpected(batch.error());
    BatchCheck check;
    if (options_.payloads) {
      check = check_batch(head, *batch);
    } else if (!table_intact(head, *batch)) {
      check = {BatchCheck::State::damaged, 0, "table CRC"};
    }
    if (check.state != BatchCheck::State::intact) return add_damaged(head, check, *batch);
    if (options_.records && !records_decode(head, batch->subspan(head.header_bytes))) {
      return add_damaged(head, {BatchCheck::State::damaged, head.header_bytes, "record"}, *batch);
    }
    extend_run(head, header_hash(batch->first(head.header_bytes)));
    at_ += head.bytes();
    return true;
  }

  Result<bool> add_damaged(const BatchHead& head, const BatchCheck& check, ByteView batch) {
    Damage damage;
    const bool torn = check.state == BatchCheck::State::torn;
    damage.what = torn ? RecoveryCase::torn_tail : RecoveryCase::block_damaged;
    damage.text = fmt::format("{} of {} does not match", check.what, name_of(head));
    damage.offset = at_;
    damage.at = at_ + check.at;
    damage.sequences_known = true;
    damage.first_sequence = head.first_sequence;
    damage.next_sequence = head.next_sequence();
    damage.epoch = head.epoch;
    damage.previous = head.previous;
    damage.header_known = table_intact(head, batch);
    if (damage.header_known) damage.hash = header_hash(batch.first(head.header_bytes));
    const std::uint64_t own_end = at_ + head.bytes();
    const auto after = following(own_end);
    if (!after) return std::unexpected(after.error());
    damage.followed = after->found || after->data_end > own_end;
    damage.end = after->found ? after->batch : after->data_end;
    return add(std::move(damage));
  }

  static std::string name_of(const BatchHead& head) {
    if (head.next_sequence() == head.first_sequence) {
      return fmt::format("the empty batch before sequence {}", head.first_sequence);
    }
    return fmt::format("the batch with sequences {} to {}", head.first_sequence,
                       head.next_sequence() - 1);
  }

  static bool table_intact(const BatchHead& head, ByteView batch) noexcept {
    return crc32c(batch.subspan(head_bytes, head.header_bytes - head_bytes)) == head.table_crc;
  }

  void extend_run(const BatchHead& head, const Sha256& hash) {
    if (in_run_) {
      const BatchRun& run = std::get<BatchRun>(scan_.pieces.back());
      in_run_ = run.head == head.previous && run.next_sequence == head.first_sequence &&
                run.last_epoch <= head.epoch;
    }
    // A batch that does not fit begins a run of its own; joining the runs will say why.
    if (!in_run_) {
      BatchRun run;
      run.offset = at_;
      run.first_sequence = head.first_sequence;
      run.first_epoch = head.epoch;
      run.previous = head.previous;
      scan_.pieces.emplace_back(run);
      in_run_ = true;
    }
    BatchRun& run = std::get<BatchRun>(scan_.pieces.back());
    run.end = at_ + head.bytes();
    run.last_batch = at_;
    run.next_sequence = head.next_sequence();
    run.last_epoch = head.epoch;
    run.head = hash;
    ++run.batches;
    run.records += head.records;
    run.payload_bytes += head.payload_bytes;
    run.committed_ns = head.committed_ns;
  }

  const ScanOptions& options_;
  ReadWindow& window_;
  SegmentScan scan_;
  std::uint64_t at_ = 0;
  std::size_t gaps_used_ = 0;
  bool in_run_ = false;
  bool hop_ = false;
};

}  // namespace

bool records_decode(const BatchHead& head, ByteView payload) noexcept {
  payload = payload.first(std::min<std::size_t>(payload.size(), head.payload_bytes));
  std::uint32_t records = 0;
  while (!payload.empty()) {
    Record record;
    const std::size_t stride = decode_record(payload, record);
    if (stride == 0) return false;
    payload = payload.subspan(stride);
    ++records;
  }
  return records == head.records;
}

Result<SegmentScan> scan_segment(File& file, const ScanOptions& options, ReadWindow& window) {
  const auto size = file.size();
  if (!size) return std::unexpected(size.error());
  const std::uint64_t whole = std::min(*size, options.segment_bytes);
  window.open(file, whole / block_bytes * block_bytes);
  return Scanner(options, window, *size).run();
}

}  // namespace trialwire::journal
