// SPDX-License-Identifier: Apache-2.0
#include "journal/inspection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <thread>

#include "journal/chain_walk.hpp"
#include "journal/seal.hpp"

namespace trialwire::journal {
namespace {

using std::filesystem::path;

// More threads than processors, so that the disk is always asked for something.
constexpr unsigned threads_max = 6;
// The newest segments are read whole whatever was consumed: the two with data, the current one's
// spare, and one that a crash between pre-writing and its first batch leaves.
constexpr std::size_t newest_whole = 4;

class Inspector {
 public:
  Inspector(const path& directory, FileLayer& files, const InspectOptions& options)
      : directory_(directory), files_(files), options_(options) {}

  Result<Inspection> run() {
    auto names = files_.list(directory_);
    if (!names) return std::unexpected(names.error());
    found_.listing = classify(std::move(*names));
    found_.exists = !found_.listing.empty_of_journal();
    for (const std::string& name : found_.listing.unfinished) {
      add(RecoveryCase::unfinished_file, name, 0, "left by an interrupted write");
    }
    for (const std::string& name : found_.listing.unknown) {
      add(RecoveryCase::unknown_file, name, 0, "not a file of the journal; left alone");
    }
    if (!found_.exists) {
      add(RecoveryCase::empty_directory, "", 0, "no journal here yet");
      return std::move(found_);
    }
    read_metadata();
    if (!found_.meta) return std::move(found_);
    read_seals();
    ask_consumers();
    scan_segments();
    ChainWalk(directory_, options_, found_).run();
    return std::move(found_);
  }

 private:
  void add(RecoveryCase what, std::string_view name, std::uint64_t offset, std::string text) {
    found_.findings.push_back({what, directory_ / name, offset, std::move(text)});
  }

  /// A finding from an error that may name file and offset by itself.
  void add(RecoveryCase what, std::string_view name, const Error& error) {
    if (error.code == ErrorCode::io) what = RecoveryCase::unreadable;
    std::string_view text = error.text;
    std::uint64_t offset = 0;
    const std::string file = (directory_ / name).native() + ": ";
    if (text.starts_with(file)) text.remove_prefix(file.size());
    constexpr std::string_view at = "offset ";
    if (text.starts_with(at)) {
      text.remove_prefix(at.size());
      const char* end = std::from_chars(text.data(), text.data() + text.size(), offset).ptr;
      text.remove_prefix(static_cast<std::size_t>(end - text.data()));
      if (text.starts_with(": ")) text.remove_prefix(2);
    }
    add(what, name, offset, std::string(text));
  }

  void read_metadata() {
    if (auto meta = read_meta(files_, directory_)) {
      found_.meta = *meta;
      const auto identity = files_.identity(directory_ / meta_name);
      if (identity && *identity != FileIdentity{} && meta->identity != *identity) {
        found_.copied = true;
        add(RecoveryCase::directory_copied, meta_name, 0,
            "the directory was copied or restored: reports acknowledged elsewhere since then are "
            "not in it");
      }
    } else {
      add(RecoveryCase::metadata_damaged, meta_name, meta.error());
      found_.meta = guess_meta();
    }
    if (found_.listing.retired) {
      if (auto retired = read_retired(files_, directory_)) {
        found_.retired = *retired;
      } else {
        add(RecoveryCase::metadata_damaged, retired_name, retired.error());
      }
    }
    if (found_.listing.repairs) {
      if (auto gaps = read_repairs(files_, directory_)) {
        found_.gaps = std::move(*gaps);
      } else {
        add(RecoveryCase::metadata_damaged, repairs_name, gaps.error());
      }
    }
    if (const auto key = read_identity_key(files_, directory_); !key) {
      add(RecoveryCase::metadata_damaged, identity_key_name, key.error());
    }
    const auto signing = SigningKey::load(files_, directory_);
    if (!signing) add(RecoveryCase::metadata_damaged, signing_key_name, signing.error());
    auto verifying = VerifyingKey::load(files_, directory_);
    if (!verifying) {
      add(RecoveryCase::metadata_damaged, signing_public_name, verifying.error());
      return;
    }
    verifying_.emplace(std::move(*verifying));
    if (!signing) return;
    const auto pem = read_text(files_, directory_ / signing_public_name);
    if (!pem) {
      add(RecoveryCase::metadata_damaged, signing_public_name, pem.error());
    } else if (*pem != signing->public_pem()) {
      add(RecoveryCase::metadata_damaged, signing_public_name, 0,
          "it is not the public half of signing.key");
    }
  }

  /// From the first batch that can be read, so that a repair has something to go on.
  std::optional<JournalMeta> guess_meta() {
    ReadWindow window;
    for (const std::uint64_t number : found_.listing.segments) {
      const auto file = files_.open(directory_ / segment_name(number), OpenMode::read, false);
      if (!file) continue;
      const auto size = (*file)->size();
      if (!size || *size < 2 * block_bytes || *size % block_bytes != 0) continue;
      window.open(**file, block_bytes);
      const auto block = window.view(0, block_bytes, block_bytes);
      BatchHead head;
      if (block && parse_head(*block, head) == HeadState::valid) {
        return JournalMeta{head.journal, head.committed_ns, *size, {}};
      }
    }
    return std::nullopt;
  }

  void read_seals() {
    for (const std::uint64_t number : found_.listing.seals) {
      const bool retired = number <= found_.retired.through;
      if (!verifying_ || (retired && !options_.thorough)) continue;
      auto seal = read_seal(files_, directory_, number, *verifying_);
      if (!seal) {
        const auto what = seal.error().code == ErrorCode::corrupt ? RecoveryCase::seal_wrong
                                                                  : RecoveryCase::unreadable;
        add(what, seal_name(number), seal.error());
      }
      if (!retired) found_.seals.push_back({number, seal ? std::optional(*seal) : std::nullopt});
    }
  }

  void ask_consumers() {
    if (options_.consumers) found_.consumers = options_.consumers(found_.meta->id);
    if (auto others = other_journals(directory_, found_)) {
      found_.findings.push_back(std::move(*others));
    }
  }

  /// Is everything in this segment known to be durable with all consumers, and need not be read?
  bool consumed(std::uint64_t number) const noexcept {
    if (options_.thorough) return false;
    for (const FoundSeal& seal : found_.seals) {
      if (seal.number != number || !seal.seal) continue;
      return options_.headers_alone ||
             seal.seal->segment.next_sequence <= found_.consumers.durable_below;
    }
    return false;
  }

  void scan_segments() {
    std::vector<std::uint64_t> numbers;
    for (const std::uint64_t number : found_.listing.segments) {
      if (number > found_.retired.through) {
        numbers.push_back(number);
      } else {
        found_.finish_deletion.push_back(number);
        add(RecoveryCase::retired_present, segment_name(number), 0,
            "deleted by policy, its file is still here");
      }
    }
    std::vector<Result<SegmentScan>> scans(numbers.size());
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      ReadWindow window;
      for (std::size_t i = next++; i < numbers.size(); i = next++) {
        const bool whole = i + newest_whole >= numbers.size() || !consumed(numbers[i]);
        scans[i] = scan(numbers[i], whole, window);
      }
    };
    const unsigned processors = std::max(1U, std::thread::hardware_concurrency());
    const unsigned wanted =
        options_.threads != 0 ? options_.threads : std::min(threads_max, processors + 4);
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < wanted && i < numbers.size(); ++i) others.emplace_back(work);
    work();
    others.clear();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (scans[i]) {
        found_.scans.push_back(std::move(*scans[i]));
        continue;
      }
      // As if it were missing: under its name is a directory, a pipe or the like.
      const bool other = scans[i].error().code == ErrorCode::corrupt;
      add(other ? RecoveryCase::foreign_file : RecoveryCase::unreadable, segment_name(numbers[i]),
          scans[i].error());
      if (other) continue;
      found_.scans.push_back({.number = numbers[i], .size = found_.meta->segment_bytes});
    }
  }

  Result<SegmentScan> scan(std::uint64_t number, bool whole, ReadWindow& window) {
    const auto file =
        files_.open(directory_ / segment_name(number), OpenMode::read, options_.direct);
    if (!file) return std::unexpected(file.error());
    const ScanOptions scan_options{.journal = found_.meta->id,
                                   .number = number,
                                   .segment_bytes = found_.meta->segment_bytes,
                                   .payloads = whole,
                                   .records = options_.thorough,
                                   .gaps = found_.gaps};
    return scan_segment(**file, scan_options, window);
  }

  const path& directory_;
  FileLayer& files_;
  const InspectOptions& options_;
  Inspection found_;
  std::optional<VerifyingKey> verifying_;
};

}  // namespace

std::string Finding::line() const {
  return fmt::format("{}: offset {}: {}", file.native(), offset, text);
}

const Finding* Inspection::refusal() const noexcept {
  const auto found = std::find_if(findings.begin(), findings.end(),
                                  [](const Finding& finding) { return refuses(finding.what); });
  return found == findings.end() ? nullptr : &*found;
}

std::optional<Finding> other_journals(const path& directory, const Inspection& found) {
  const std::vector<OtherCursor>& others = found.consumers.others;
  if (others.empty()) return std::nullopt;
  const OtherCursor& one = others.front();
  const std::string more =
      others.size() > 1 ? fmt::format(" (and {} more)", others.size() - 1) : std::string();
  return Finding{
      RecoveryCase::other_journal, directory / meta_name, 0,
      fmt::format(
          "this is journal {}, of which {} has nothing: it has journal {} to sequence {}{}. "
          "Was that journal lost? What it had not delivered is not here, and a report of "
          "before that is sent again is taken for a new one unless dedupe.key_file is kept",
          found.meta ? found.meta->id.text() : "?", one.consumer, one.journal,
          one.next_sequence - 1, more)};
}

std::vector<std::string> unknown_end(const Inspection& found) {
  const Consumers& consumers = found.consumers;
  std::vector<std::string> lines;
  if (!consumers.cursors.empty() || found.end.next_sequence <= 1) return lines;
  std::vector<std::string> why = consumers.silent;
  why.insert(why.end(), consumers.absent.begin(), consumers.absent.end());
  if (why.empty()) return lines;
  lines.push_back(
      fmt::format("whether records followed sequence {}: no consumer says how far it had "
                  "read ({})",
                  found.end.next_sequence - 1, fmt::join(why, "; ")));
  if (found.segments.empty() || !found.segments.back().sealed) return lines;
  lines.push_back(
      fmt::format("what the segment behind {} held: that one is full, so that there was "
                  "a next one, which {}",
                  segment_name(found.segments.back().counts.number),
                  found.spares.empty() ? "is not there" : "is empty"));
  return lines;
}

Result<Inspection> inspect(const path& directory, FileLayer& files, const InspectOptions& options) {
  return Inspector(directory, files, options).run();
}

}  // namespace trialwire::journal
