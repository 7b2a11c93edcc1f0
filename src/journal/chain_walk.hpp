// SPDX-License-Identifier: Apache-2.0
// Joins the scans of all segments, in order: does each batch carry the hash of the header before
// it, go on with its sequence, do the seals match, is what is wrong at the end a torn tail or
// worse?
#pragma once
#include <optional>
#include <vector>

#include "journal/inspection.hpp"
#include "journal/seal.hpp"

namespace trialwire::journal {

class ChainWalk {
 public:
  /// Adds to `found`: findings, segments, spares, the end and what recovery is to do.
  ChainWalk(const std::filesystem::path& directory, const InspectOptions& options,
            Inspection& found);
  void run();

 private:
  /// Parts of it are not known after damage; then the next run is taken as it is.
  struct State {
    Sha256 hash{};
    std::uint64_t next_sequence = 1;
    std::uint32_t epoch = 0;
    bool hash_known = true;
    bool sequence_known = true;
  };

  void add(RecoveryCase what, std::string name, std::uint64_t offset, std::string text);
  void missing(std::uint64_t from, std::uint64_t to);
  void walk(const SegmentScan& scan);
  void walk(const SegmentScan& scan, const BatchRun& run);
  void walk(const SegmentScan& scan, const Damage& damage, bool last);
  void walk(const SegmentScan& scan, const Gap& gap);
  /// Does what carries these values fit? Adds what does not.
  bool fits(const SegmentScan& scan, std::uint64_t offset, const Sha256& previous,
            std::uint64_t first_sequence, std::uint32_t epoch);
  bool cut_off(const SegmentScan& scan, const Damage& damage);
  bool was_read(const SegmentScan& scan, const Damage& damage);
  void check_cursors();
  void check_seal(SegmentSummary& summary, bool damaged);
  void finish();

  const std::filesystem::path& directory_;
  const InspectOptions& options_;
  Inspection& found_;
  State state_;
  std::uint32_t highest_epoch_ = 0;
  std::uint64_t last_with_data_ = 0;
  std::uint64_t newest_gap_ = 0;
};

}  // namespace trialwire::journal
