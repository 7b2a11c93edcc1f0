// SPDX-License-Identifier: Apache-2.0
// journal_repair: plan from an inspection, then carry it out. The plan keeps every intact batch at
// its place; a segment with damage is written anew from its intact batches and the original moved
// to quarantine whole. Where bytes were taken away, a Gap says how the chain goes on.
#include <fmt/format.h>

#include <algorithm>

#include "journal/offline.hpp"
#include "journal/quarantine.hpp"
#include "journal/seal.hpp"
#include "journal/zero_fill.hpp"

namespace trialwire::journal {
namespace {

using std::filesystem::path;

// More than this is a name gone wrong, not a loss that gaps should be noted for.
constexpr std::uint64_t missing_max = 10'000;
// Databases keep sequences as signed numbers; a cursor further on than this is none.
constexpr std::uint64_t sequence_max = 1ULL << 62;

/// A segment to be written anew with these stretches of the original.
struct Rebuild {
  std::uint64_t number = 0;
  std::vector<Stretch> keep;
};

struct Plan {
  std::vector<std::string> quarantine;  // names
  std::vector<Rebuild> rebuild;         // the original goes to quarantine, too
  std::vector<Gap> gaps;                // the whole new list
  std::optional<Retired> retired;       // to be written
  bool write_meta = false;
  bool new_identity_key = false;
  bool new_signing_key = false;
};

class Planner {
 public:
  Planner(const Inspection& found, const RepairOptions& options, RepairReport& report)
      : found_(found), options_(options), report_(report) {
    next_sequence_ = found.retired.next_sequence;
    hash_ = found.retired.through == 0 ? genesis_hash(found.meta->id) : found.retired.chain_head;
    for (const ConsumerCursor& cursor : found.consumers.cursors) {
      if (cursor.next_sequence <= sequence_max) read_ = std::max(read_, cursor.next_sequence);
    }
  }

  Result<Plan> run() {
    plan_metadata();
    std::uint64_t expected = found_.retired.through + 1;
    for (const SegmentScan& scan : found_.scans) {
      if (stray(scan, expected)) {
        quarantine(segment_name(scan.number), "not a segment, and none is missing here");
        continue;
      }
      if (scan.number > expected) plan_missing(expected, scan);
      expected = scan.number + 1;
      plan_segment(scan);
    }
    plan_missing_newest(expected);
    plan_tail();
    if (missing_ > missing_max) {
      return fail(
          ErrorCode::corrupt,
          fmt::format("more than {} segments are missing: is a file misnamed?", missing_max));
    }
    return std::move(plan_);
  }

 private:
  /// Bytes taken away that no intact batch has followed yet.
  struct Pending {
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::uint64_t known_next = 0;  // 0: how many records there were is not known
    bool cut_short = false;        // the file's end is missing, which may have been empty
  };

  /// What the signed seal of a segment says, if there is a good one.
  const SealedSegment* sealed(std::uint64_t number) const {
    const auto seal = std::ranges::find(found_.seals, number, &FoundSeal::number);
    if (seal == found_.seals.end() || !seal->seal || seal->seal->journal != found_.meta->id ||
        seal->seal->segment.number != number) {
      return nullptr;
    }
    return &seal->seal->segment;
  }

  std::uint64_t sealed_next(std::uint64_t number) const {
    const SealedSegment* said = sealed(number);
    return said == nullptr ? 0 : said->next_sequence;
  }

  /// Something else under a segment's name, further on than the journal goes.
  bool stray(const SegmentScan& scan, std::uint64_t expected) const {
    if (scan.number <= expected || scan.number != found_.scans.back().number) return false;
    if (scan.pieces.empty()) return scan.size != found_.meta->segment_bytes;
    const Damage* damage = std::get_if<Damage>(&scan.pieces.front());
    return damage != nullptr && damage->what == RecoveryCase::foreign_file;
  }

  bool scanned(const std::string& name) const {
    return std::ranges::any_of(
        found_.scans, [&](const SegmentScan& scan) { return segment_name(scan.number) == name; });
  }

  void quarantine(std::string name, std::string_view why) {
    if (std::ranges::find(plan_.quarantine, name) != plan_.quarantine.end()) return;
    report_.actions.push_back(fmt::format("move {} to quarantine/: {}", name, why));
    plan_.quarantine.push_back(std::move(name));
  }

  void plan_metadata() {
    for (const Finding& finding : found_.findings) {
      const std::string name = finding.file.filename().native();
      if (finding.what == RecoveryCase::seal_wrong ||
          (finding.what == RecoveryCase::foreign_journal && name.ends_with(".seal"))) {
        quarantine(name, "it is signed anew at the next start");
      }
      if (finding.what == RecoveryCase::foreign_file && !scanned(name)) {
        quarantine(name, "not a regular file");
      }
      if (finding.what != RecoveryCase::metadata_damaged) continue;
      const Listing& have = found_.listing;
      if (name == meta_name) {
        if (have.meta) quarantine(name, "damaged");
        report_.actions.push_back("write journal.meta anew from the batches");
        plan_.write_meta = true;
      } else if (name == identity_key_name) {
        if (have.identity_key) quarantine(name, "damaged");
        report_.actions.push_back(
            "make a new identity.key: retries of reports from before are not recognised");
        plan_.new_identity_key = true;
      } else if (name == signing_key_name || name == signing_public_name) {
        if (!plan_.new_signing_key) replace_signing_key();
      } else {
        quarantine(name, "damaged; what it said is derived from the segments");
      }
    }
  }

  void replace_signing_key() {
    plan_.new_signing_key = true;
    if (found_.listing.signing_key) quarantine(std::string(signing_key_name), "replaced");
    if (found_.listing.signing_public) quarantine(std::string(signing_public_name), "replaced");
    for (const std::uint64_t number : found_.listing.seals) {
      quarantine(seal_name(number), "signed with the key that is replaced");
    }
    report_.actions.push_back("make a new signing key and sign all full segments with it");
  }

  void plan_missing(std::uint64_t from, const SegmentScan& next) {
    // Before the first one that is left nothing can be read, whatever is noted down.
    if (from == found_.retired.through + 1 && &next == &found_.scans.front()) {
      const auto run = std::ranges::find_if(
          next.pieces, [](const Piece& piece) { return std::holds_alternative<BatchRun>(piece); });
      if (run != next.pieces.end() && run == next.pieces.begin()) {
        const BatchRun& first = std::get<BatchRun>(*run);
        plan_.retired = Retired{next.number - 1, first.first_sequence, first.previous};
        lose(first.first_sequence, first.first_sequence);
        next_sequence_ = first.first_sequence;
        hash_ = first.previous;
        report_.actions.push_back(
            fmt::format("note that segments up to {} are gone", next.number - 1));
        return;
      }
    }
    for (; from < next.number && missing_ <= missing_max; ++from) gap_for_missing(from);
  }

  void plan_missing_newest(std::uint64_t expected) {
    std::uint64_t newest = 0;
    for (const std::uint64_t number : found_.listing.seals) newest = std::max(newest, number);
    for (const Gap& gap : found_.gaps) {
      if (gap.bytes == found_.meta->segment_bytes) newest = std::max(newest, gap.segment);
    }
    for (; expected <= newest && missing_ <= missing_max; ++expected) gap_for_missing(expected);
    // A segment is sealed when the next one is written to: that one is missing, too.
    if (pending_ && sealed(pending_->segment) != nullptr &&
        pending_->bytes == found_.meta->segment_bytes) {
      unknown_bytes_ += found_.meta->segment_bytes;
    }
  }

  void gap_for_missing(std::uint64_t number) {
    const auto known = std::ranges::find_if(found_.gaps, [&](const Gap& gap) {
      return gap.segment == number && gap.bytes == found_.meta->segment_bytes;
    });
    if (known != found_.gaps.end()) return keep_gap(*known);
    if (++missing_ > missing_max) return;
    report_.actions.push_back(fmt::format("note that segment {} is gone", number));
    add_pending({number, 0, found_.meta->segment_bytes, sealed_next(number)});
  }

  void keep_gap(const Gap& gap) {
    // What is pending ends where the earlier repair's begins.
    if (pending_) close_pending(std::max(next_sequence_, gap.lost_from), gap.resume_previous);
    plan_.gaps.push_back(gap);
    next_sequence_ = gap.resume_sequence;
    hash_ = gap.resume_previous;
  }

  void plan_segment(const SegmentScan& scan) {
    Rebuild rebuild{scan.number, {}};
    bool damaged = scan.size != found_.meta->segment_bytes;
    for (const Piece& piece : scan.pieces) {
      if (const BatchRun* run = std::get_if<BatchRun>(&piece);
          run && run->first_sequence >= next_sequence_) {
        take_run(scan, *run);
        rebuild.keep.push_back({run->offset, run->end});
      } else if (const Gap* gap = std::get_if<Gap>(&piece)) {
        keep_gap(*gap);
      } else if (const Damage* damage = std::get_if<Damage>(&piece)) {
        if (found_.cut && found_.cut->segment == scan.number &&
            found_.cut->offset == damage->offset) {
          continue;  // a torn tail: recovery cuts it off by itself
        }
        damaged = true;
        add_pending({scan.number, damage->offset, damage->end - damage->offset,
                     damage->sequences_known ? damage->next_sequence : 0});
      } else {
        damaged = true;
        const BatchRun& old = std::get<BatchRun>(piece);
        report_.problems.push_back(
            fmt::format("segment {} offset {}: sequences {} to {} are in the journal twice",
                        scan.number, old.offset, old.first_sequence, old.next_sequence - 1));
        add_pending({scan.number, old.offset, old.end - old.offset, old.next_sequence});
      }
    }
    plan_lost_end(scan);
    if (damaged) replace_segment(std::move(rebuild));
  }

  /// What was behind the last batch that is left, as far as the seal or the file's length tells.
  void plan_lost_end(const SegmentScan& scan) {
    const std::uint64_t whole = found_.meta->segment_bytes;
    const std::uint64_t next = sealed_next(scan.number);
    const std::uint64_t there = std::min(scan.size, whole) / block_bytes * block_bytes;
    if (next > std::max(next_sequence_, pending_known_)) {
      std::uint64_t end = 0;
      for (const Piece& piece : scan.pieces) {
        if (const BatchRun* run = std::get_if<BatchRun>(&piece)) end = run->end;
      }
      add_pending({scan.number, end, whole - end, next});
    } else if (next == 0 && there < whole) {
      add_pending({scan.number, there, whole - there, 0, true});
    }
  }

  void replace_segment(Rebuild rebuild) {
    const std::string name = segment_name(rebuild.number);
    const bool has_seal =
        std::ranges::find(found_.listing.seals, rebuild.number) != found_.listing.seals.end();
    if (has_seal) quarantine(seal_name(rebuild.number), "its segment is repaired");
    std::uint64_t kept = 0;
    for (const Stretch& stretch : rebuild.keep) kept += stretch.to - stretch.from;
    report_.actions.push_back(
        fmt::format("move {} to quarantine/ and write it anew with the {} bytes of its intact "
                    "batches",
                    name, kept));
    plan_.rebuild.push_back(std::move(rebuild));
  }

  void take_run(const SegmentScan& scan, const BatchRun& run) {
    const bool fits = run.first_sequence == next_sequence_ && run.previous == hash_;
    if (pending_ && pending_->cut_short && fits) drop_pending();  // it was empty
    if (!pending_ && !fits) pending_ = Pending{scan.number, run.offset, 0, 0};
    if (pending_) {
      if (pending_->segment == scan.number) {
        pending_->bytes = run.offset - pending_->offset;
      } else if (pending_->bytes != found_.meta->segment_bytes) {
        pending_->bytes = found_.meta->segment_bytes - pending_->offset;
      }
      close_pending(run.first_sequence, run.previous);
    }
    next_sequence_ = run.next_sequence;
    hash_ = run.head;
  }

  void drop_pending() {
    pending_.reset();
    unknown_bytes_ = 0;
    pending_known_ = 0;
  }

  void add_pending(const Pending& more) {
    // Who knows where it ended knows of all that is before.
    unknown_bytes_ = more.known_next != 0 ? 0 : unknown_bytes_ + more.bytes;
    pending_known_ = std::max(pending_known_, more.known_next);
    if (pending_ && pending_->segment == more.segment) {
      pending_->bytes = more.offset + more.bytes - pending_->offset;
      pending_->cut_short = false;
      return;
    }
    if (pending_) {
      // Each segment gets its own gap; what follows overrides how this one resumes.
      pending_->bytes = found_.meta->segment_bytes - pending_->offset;
      plan_.gaps.push_back({pending_->segment, pending_->offset, pending_->bytes, next_sequence_,
                            next_sequence_, hash_});
    }
    pending_ = more;
  }

  /// Those before `certain` were there.
  void lose(std::uint64_t resume, std::uint64_t certain) {
    if (resume <= next_sequence_) return;
    std::string lost = fmt::format("sequences {} to {}", next_sequence_, resume - 1);
    if (certain < resume) lost += " at most (how many is not known)";
    if (certain < resume && certain > next_sequence_) {
      lost += fmt::format("; those to {} were there", certain - 1);
    }
    report_.lost.push_back(std::move(lost));
  }

  void close_pending(std::uint64_t resume_sequence, const Sha256& resume_previous) {
    close_pending(resume_sequence, resume_previous, resume_sequence);
  }

  void close_pending(std::uint64_t resume_sequence, const Sha256& resume_previous,
                     std::uint64_t certain) {
    plan_.gaps.push_back({pending_->segment, pending_->offset, pending_->bytes, next_sequence_,
                          resume_sequence, resume_previous});
    report_.actions.push_back(
        fmt::format("note in `repairs` that {} bytes of segment {} from offset {} on are gone",
                    pending_->bytes, pending_->segment, pending_->offset));
    lose(resume_sequence, certain);
    drop_pending();
  }

  /// Damage at the end: new records must not get the sequences of lost ones, which consumers may
  /// have read.
  void plan_tail() {
    const std::uint64_t wanted = std::max(read_, options_.resume_at.value_or(0));
    if (!pending_ && wanted <= next_sequence_) return;
    const std::uint64_t known = std::max(next_sequence_, pending_known_);
    std::uint64_t resume = std::max(known, wanted);
    const std::uint64_t certain = std::max(known, read_);
    if (pending_) {
      resume = std::max(resume, known + unknown_bytes_ / record_fixed_bytes);
      // Zeros to write on from, unless the segment is lost whole, or closed.
      const bool open = sealed(pending_->segment) == nullptr;
      if (open && (pending_->offset > 0 || rebuilt(pending_->segment))) pending_->bytes = 0;
    } else {
      const ChainEnd& end = found_.end;
      const bool room = end.segment != 0 && end.offset < found_.meta->segment_bytes;
      pending_ = room ? Pending{end.segment, end.offset, 0, 0}
                      : Pending{highest() + 1, 0, found_.meta->segment_bytes, 0};
    }
    report_.actions.push_back(fmt::format("go on with sequence {}", resume));
    close_pending(resume, hash_, certain);
  }

  bool rebuilt(std::uint64_t number) const {
    return std::ranges::any_of(plan_.rebuild,
                               [&](const Rebuild& each) { return each.number == number; });
  }

  std::uint64_t highest() const {
    std::uint64_t highest = found_.retired.through;
    for (const SegmentScan& scan : found_.scans) highest = std::max(highest, scan.number);
    for (const Gap& gap : found_.gaps) highest = std::max(highest, gap.segment);
    return highest;
  }

  const Inspection& found_;
  const RepairOptions& options_;
  RepairReport& report_;
  Plan plan_;
  std::uint64_t next_sequence_ = 1;
  Sha256 hash_{};
  std::optional<Pending> pending_;
  std::uint64_t unknown_bytes_ = 0;  // pending, behind what is known
  std::uint64_t pending_known_ = 0;  // what is pending reached to here, at least; 0: not known
  std::uint64_t read_ = 0;           // a consumer has read all before it
  std::uint64_t missing_ = 0;
};

class Executor {
 public:
  Executor(const path& directory, FileLayer& files, const Inspection& found)
      : directory_(directory), files_(files), found_(found) {}

  Result<void> run(const Plan& plan) {
    auto done = files_.create_directory(directory_ / quarantine_name);
    for (const Rebuild& rebuild : plan.rebuild) {
      if (done) done = write_anew(rebuild);
    }
    for (const std::string& name : plan.quarantine) {
      if (done) done = move_away(name);
    }
    if (done && plan.write_meta) done = write_meta(files_, directory_, *found_.meta);
    if (done && plan.new_identity_key) {
      if (auto key = ensure_identity_key(files_, directory_); !key) {
        done = std::unexpected(key.error());
      }
    }
    if (done && plan.new_signing_key) {
      if (auto key = SigningKey::ensure(files_, directory_); !key) {
        done = std::unexpected(key.error());
      }
    }
    if (done && plan.retired) done = write_retired(files_, directory_, *plan.retired);
    if (done && !plan.gaps.empty()) done = write_repairs(files_, directory_, plan.gaps);
    if (done) done = files_.sync_directory(directory_ / quarantine_name);
    if (done) done = files_.sync_directory(directory_);
    return done;
  }

 private:
  Result<void> move_away(const std::string& name) {
    const auto target = free_in_quarantine(files_, directory_, name);
    if (!target) return std::unexpected(target.error());
    return files_.rename(directory_ / name, *target);
  }

  Result<void> write_anew(const Rebuild& rebuild) {
    const std::string name = segment_name(rebuild.number);
    const path temporary = directory_ / (name + ".tmp");
    static_cast<void>(files_.remove(temporary));
    const auto from = files_.open(directory_ / name, OpenMode::read, false);
    if (!from) return std::unexpected(from.error());
    const auto to = files_.open(temporary, OpenMode::create_new, false);
    if (!to) return std::unexpected(to.error());
    auto done = zero_fill(**to, 0, found_.meta->segment_bytes);
    for (const Stretch& stretch : rebuild.keep) {
      if (done) done = copy_stretch(**from, stretch, **to, stretch.from);
    }
    if (done) done = (*to)->sync();
    if (done) done = move_away(name);
    if (done) done = files_.rename(temporary, directory_ / name);
    return done;
  }

  const path& directory_;
  FileLayer& files_;
  const Inspection& found_;
};

/// Nothing in it can be read: all goes to quarantine, and the next start makes a new journal.
Plan plan_for_nothing_readable(const Inspection& found, RepairReport& report) {
  Plan plan;
  for (const std::uint64_t number : found.listing.segments) {
    plan.quarantine.push_back(segment_name(number));
  }
  for (const std::uint64_t number : found.listing.seals) {
    plan.quarantine.push_back(seal_name(number));
  }
  const auto also = [&](bool there, std::string_view name) {
    if (there) plan.quarantine.emplace_back(name);
  };
  also(found.listing.meta, meta_name);
  also(found.listing.retired, retired_name);
  also(found.listing.repairs, repairs_name);
  report.actions.emplace_back("move everything to quarantine/; the next start makes a new journal");
  report.lost.emplace_back("everything: no batch can be read and journal.meta is damaged");
  return plan;
}

/// The identity index may know records that are lost: a retry of one must be stored, not answered.
/// The next start learns the identities of what is left.
void quarantine_identities(const std::vector<std::string>& names, Plan& plan,
                           RepairReport& report) {
  bool some = false;
  for (const std::string& name : names) {
    if (!name.starts_with(dedupe_prefix)) continue;
    plan.quarantine.push_back(name);
    some = true;
  }
  if (some) {
    report.actions.push_back(fmt::format(
        "move {}* to quarantine/: derived from the segments at the next start", dedupe_prefix));
  }
}

}  // namespace

Result<RepairReport> journal_repair(const path& directory, FileLayer& files,
                                    const RepairOptions& options) {
  const auto names = files.list(directory);
  if (!names) return std::unexpected(names.error());
  if (classify(*names).empty_of_journal()) {
    return fail(ErrorCode::not_found, fmt::format("there is no journal in {}", directory.native()));
  }
  const auto lock = files.lock(directory / lock_name);
  if (!lock) {
    Error error = lock.error();
    if (error.code == ErrorCode::unavailable) error.text += ": stop the server first";
    return std::unexpected(error);
  }
  const InspectOptions how{.consumers = options.consumers, .thorough = true};
  const auto found = inspect(directory, files, how);
  if (!found) return std::unexpected(found.error());
  RepairReport report;
  report.unknown = unknown_end(*found);
  for (const Finding& finding : found->findings) {
    if (finding.what == RecoveryCase::unreadable) {
      return fail(ErrorCode::io, fmt::format("{}: copy the disk first, what cannot be read cannot "
                                             "be repaired",
                                             finding.line()));
    }
    if (refuses(finding.what)) report.problems.push_back(finding.line());
  }
  const bool resume =
      options.resume_at && found->meta && *options.resume_at > found->end.next_sequence;
  if (report.problems.empty() && !resume) return report;
  Result<Plan> plan = found->meta ? Planner(*found, options, report).run()
                                  : plan_for_nothing_readable(*found, report);
  if (!plan) return std::unexpected(plan.error());
  if (!report.lost.empty()) quarantine_identities(*names, *plan, report);
  if (!options.apply) return report;
  if (auto done = Executor(directory, files, *found).run(*plan); !done) {
    return std::unexpected(done.error());
  }
  const auto after = inspect(directory, files, how);
  if (!after) return std::unexpected(after.error());
  if (const Finding* refusal = after->refusal()) {
    return fail(ErrorCode::corrupt,
                fmt::format("repaired, but still damaged: {}", refusal->line()));
  }
  report.applied = true;
  return report;
}

}  // namespace trialwire::journal
