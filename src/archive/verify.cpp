// SPDX-License-Identifier: Apache-2.0
#include "archive/verify.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "archive/archive_reader.hpp"

namespace trialwire::archive {
namespace {

class Verifier {
 public:
  Verifier(const Archive& archive, const VerifyArchiveOptions& options)
      : archive_(archive), options_(options) {}

  Result<ArchiveReport> run();

 private:
  /// The chain between two segments, as far as it is known.
  struct State {
    std::uint64_t number = 1;  // of the next segment
    std::uint64_t sequence = 1;
    Sha256 chain{};
    bool known = false;
  };

  Result<void> list();
  void read_marks();
  void check_segment(std::uint64_t number);
  void check_missing(std::uint64_t from, std::uint64_t to);
  bool check_signature(const Manifest& manifest);
  bool check_contents(const Manifest& manifest);
  void check_place(const Manifest& manifest);
  void check_same_as_journals(const Manifest& manifest);
  void check_join();
  void add(Severity severity, std::string object, std::string text);
  void problem_in(std::string_view name, std::string text) {
    add(Severity::problem, archive_.where(name), std::move(text));
  }
  /// An error that names its object by itself.
  void problem(const Error& error) { add(Severity::problem, "", error.text); }
  std::string manifest_name(std::uint64_t number) const {
    return manifest_object(archive_.journal(), number);
  }

  const Archive& archive_;
  const VerifyArchiveOptions& options_;
  ArchiveReport report_;
  State state_;
  std::vector<std::uint64_t> manifests_;
  std::set<std::uint64_t> objects_;  // .zst whose manifest was not seen
  std::map<std::string, std::optional<journal::VerifyingKey>, std::less<>> keys_;
};

void Verifier::add(Severity severity, std::string object, std::string text) {
  report_.problems += severity == Severity::problem ? 1 : 0;
  report_.findings.push_back({severity, std::move(object), std::move(text)});
}

Result<void> Verifier::list() {
  return archive_.store().list(journal_prefix(archive_.journal()), [&](std::string_view name) {
    if (const auto number = number_of(archive_.journal(), name)) {
      manifests_.push_back(*number);
    } else if (const auto object = number_of(archive_.journal(), name, ".zst")) {
      objects_.insert(*object);
    } else if (name != begin_object(archive_.journal()) &&
               name != expired_object(archive_.journal())) {
      add(Severity::warning, archive_.where(name), "not an object of the archive");
    }
    return true;
  });
}

void Verifier::read_marks() {
  const auto begin = archive_.mark(MarkKind::begin);
  const auto expired = archive_.mark(MarkKind::expired);
  if (!begin) problem(begin.error());
  if (!expired) problem(expired.error());
  if (begin && !*begin && !manifests_.empty()) {
    problem_in(begin_object(archive_.journal()), "is not there, and there are segments");
  }
  if (begin && *begin) {
    state_ = {(*begin)->segment, (*begin)->sequence, (*begin)->chain, true};
    if (state_.number == 1 && state_.chain != journal::genesis_hash(archive_.journal())) {
      problem_in(begin_object(archive_.journal()), "its chain does not begin with the journal");
    }
    if (state_.number > 1) {
      add(Severity::note, "",
          fmt::format("the archive begins with segment {:x}, sequence {}", state_.number,
                      state_.sequence));
    }
  }
  if (expired && *expired) {
    state_ = {(*expired)->segment + 1, (*expired)->sequence, (*expired)->chain, true};
    add(Severity::note, "",
        fmt::format("sequences before {} were removed by archive.keep", state_.sequence));
  }
}

void Verifier::check_missing(std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t number = from; number <= to; ++number) {
    const bool object = objects_.contains(number);
    problem_in(manifest_name(number),
               object ? "is not there, its segment is" : "is not there, nor is its segment");
  }
  state_.known = false;
}

bool Verifier::check_signature(const Manifest& manifest) {
  const journal::VerifyingKey* key = options_.key;
  if (key != nullptr && key->fingerprint() != manifest.key) {
    problem_in(manifest_name(manifest.segment.number),
               fmt::format("signed with key {}, not with the one given", manifest.key));
    return false;
  }
  if (key == nullptr) {
    auto known = keys_.find(manifest.key);
    if (known == keys_.end()) {
      auto read = archive_.key(manifest.key);
      if (!read) problem(read.error());
      known = keys_.emplace(manifest.key, std::nullopt).first;
      if (!options_.journal_key.empty() && options_.journal_key != manifest.key) {
        add(Severity::warning, archive_.where(key_object(manifest.key)),
            "segments are signed with this key, which is not the journal's present one");
      }
      if (read) known->second.emplace(std::move(*read));
    }
    if (!known->second) return false;
    key = &*known->second;
  }
  const auto seal = check_seal(manifest, *key);
  if (!seal) problem_in(manifest_name(manifest.segment.number), seal.error().text);
  return seal.has_value();
}

bool Verifier::check_contents(const Manifest& manifest) {
  const auto stored = check_stored(archive_, {.journal = manifest.journal,
                                              .number = manifest.segment.number,
                                              .bytes = manifest.raw_bytes,
                                              .gaps = manifest.gaps});
  if (!stored) {
    problem(stored.error());
    return false;
  }
  const std::string name = segment_object(manifest.journal, manifest.segment.number);
  if (stored->stored_bytes != manifest.stored_bytes ||
      stored->stored_sha256 != manifest.stored_sha256) {
    problem_in(name, "its SHA-256 is not the manifest's");
    return false;
  }
  if (stored->raw_bytes != manifest.raw_bytes || stored->raw_sha256 != manifest.raw_sha256) {
    problem_in(name, "the SHA-256 of its content is not the manifest's");
    return false;
  }
  if (stored->contents.counts != manifest.segment ||
      stored->contents.chain_before != manifest.chain_before) {
    problem_in(name, "it does not hold what its manifest says");
    return false;
  }
  return true;
}

/// Does it go on where the segment before it ended?
void Verifier::check_place(const Manifest& manifest) {
  const journal::SealedSegment& segment = manifest.segment;
  for (const journal::Gap& gap : manifest.gaps) {
    if (gap.lost_from >= gap.resume_sequence) continue;
    add(Severity::warning, archive_.where(manifest_name(segment.number)),
        fmt::format("sequences {} to {} were lost and removed by a repair", gap.lost_from,
                    gap.resume_sequence - 1));
  }
  const bool resumed =
      std::ranges::any_of(manifest.gaps, [](const journal::Gap& gap) { return gap.offset == 0; });
  if (!state_.known || resumed) return;
  if (segment.first_sequence != state_.sequence) {
    problem_in(manifest_name(segment.number),
               fmt::format("it begins with sequence {}, {} was to follow", segment.first_sequence,
                           state_.sequence));
  } else if (manifest.chain_before != state_.chain) {
    problem_in(manifest_name(segment.number), "it does not carry the hash of the header before it");
  }
}

void Verifier::check_same_as_journals(const Manifest& manifest) {
  if (options_.journal == nullptr) return;
  const auto& segments = options_.journal->segments;
  const auto same = std::ranges::find_if(segments, [&](const journal::SegmentSummary& each) {
    return each.counts.number == manifest.segment.number;
  });
  if (same == segments.end()) return;
  const bool repaired = std::ranges::any_of(options_.journal->gaps, [&](const journal::Gap& gap) {
    return gap.segment == manifest.segment.number;
  });
  if (same->counts == manifest.segment) return;
  const std::string object = archive_.where(manifest_name(manifest.segment.number));
  if (repaired) {
    add(Severity::note, object, "the journal's copy was repaired since; this one is the original");
  } else {
    add(Severity::problem, object, "the journal holds another segment of this number");
  }
}

void Verifier::check_segment(std::uint64_t number) {
  objects_.erase(number);
  const auto manifest = archive_.manifest(number);
  if (!manifest) {
    problem(manifest.error());
    state_ = {.number = number + 1};
    return;
  }
  if (number > state_.number && !lost_before(*manifest)) check_missing(state_.number, number - 1);
  const bool signed_right = check_signature(*manifest);
  const bool whole = check_contents(*manifest);
  check_place(*manifest);
  check_same_as_journals(*manifest);
  if (signed_right && whole) {
    ++report_.segments;
    report_.records += manifest->segment.records;
    report_.raw_bytes += manifest->raw_bytes;
    report_.stored_bytes += manifest->stored_bytes;
  }
  if (report_.first_sequence == 0) report_.first_sequence = manifest->segment.first_sequence;
  report_.next_sequence = manifest->segment.next_sequence;
  state_ = {number + 1, manifest->segment.next_sequence, manifest->segment.chain_head, true};
}

/// Is everything that the journal has deleted in the archive, with the same chain?
void Verifier::check_join() {
  const journal::JournalInfo& journal = *options_.journal;
  const journal::Retired& retired = journal.retired;
  if (retired.through >= state_.number) {
    check_missing(state_.number, retired.through);
  } else if (retired.through + 1 == state_.number && retired.through > 0 && state_.known &&
             retired.chain_head != state_.chain) {
    add(Severity::problem, "", "the journal does not go on with the hash that the archive ends in");
  }
  std::uint64_t newest_sealed = retired.through;
  std::uint64_t waiting = 0;
  for (const journal::SegmentSummary& segment : journal.segments) {
    if (!segment.sealed) continue;
    newest_sealed = segment.counts.number;
    waiting += segment.counts.number >= state_.number ? 1 : 0;
    // Stored, but killed before its manifest: the next start finishes that.
    objects_.erase(segment.counts.number);
  }
  if (waiting > 0) {
    add(Severity::note, "", fmt::format("{} sealed segments are not archived yet", waiting));
  }
  if (!manifests_.empty() && manifests_.back() > newest_sealed) {
    problem_in(manifest_name(manifests_.back()),
               "the journal does not have this segment yet: was it restored from an older copy?");
  }
}

Result<ArchiveReport> Verifier::run() {
  if (auto listed = list(); !listed) return std::unexpected(listed.error());
  read_marks();
  // Without a mark, what is there has to do for the beginning.
  if (!state_.known && !manifests_.empty()) state_.number = manifests_.front();
  for (const std::uint64_t number : manifests_) {
    if (number < state_.number) {
      objects_.erase(number);
      add(Severity::note, archive_.where(manifest_name(number)),
          "to be gone already; the next start removes it");
      continue;
    }
    check_segment(number);
  }
  if (options_.journal != nullptr) check_join();
  for (const std::uint64_t number : objects_) {
    if (number < state_.number) continue;  // said already, or to be gone
    add(Severity::note, archive_.where(segment_object(archive_.journal(), number)),
        "has no manifest yet");
  }
  return std::move(report_);
}

}  // namespace

Result<ArchiveReport> verify_archive(const Archive& archive, const VerifyArchiveOptions& options) {
  return Verifier(archive, options).run();
}

}  // namespace trialwire::archive
