// SPDX-License-Identifier: Apache-2.0
// Takes one sealed segment into the archive: compress, put, read back, and only when what was read
// back is proven to be what the seal says, the manifest. Each step is durable before the next, so
// that a process killed between any two of them is taken up by the next attempt.
//
// What is there already is not overwritten: an object without manifest is adopted when it proves
// right, else replaced; a manifest that is damaged is written anew; another segment under this name
// is an error. One thread. Memory: a read of 1 MiB, a batch, and what the level of zstd takes.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>

#include "archive/archive.hpp"
#include "journal/file_layer.hpp"

namespace trialwire::archive {

struct SegmentArchiverOptions {
  std::filesystem::path journal_directory;
  bool direct = false;  // read past the page cache
  int level = 3;
  std::function<std::int64_t()> unix_now_ns;  // empty: the system clock
  /// Called with the work done: a segment's bytes count half when it is compressed, half when it is
  /// read back. Its error ends the attempt.
  Paced paced;
};

struct ArchivedSegment {
  bool already = false;  // nothing was to be done
  std::uint64_t raw_bytes = 0;
  std::uint64_t stored_bytes = 0;
};

class SegmentArchiver {
 public:
  SegmentArchiver(SegmentArchiverOptions options, Archive archive, journal::FileLayer& files);

  /// Errors: corrupt, the segment or its seal is damaged, or what was stored cannot be read back;
  /// conflict, the archive holds another segment of this number; those of the store and of `paced`.
  Result<ArchivedSegment> archive(const journal::SealedSegment& segment);

 private:
  Result<bool> archived_already(const journal::SealedSegment& segment, bool& manifest_damaged);
  Result<void> load_repairs();
  std::vector<journal::Gap> gaps_for(std::uint64_t number, std::uint64_t bytes) const;
  bool repaired(std::uint64_t number) const;
  Result<Manifest> describe(const journal::SealedSegment& segment);
  Result<StoredCheck> store(const SegmentPlace& place);
  Result<StoredCheck> put(const SegmentPlace& place, storage::PutMode mode);
  Result<StoredCheck> read_back(const SegmentPlace& place, const StoredCheck* written);
  Result<void> begin(const Manifest& manifest);
  std::int64_t now() const;

  SegmentArchiverOptions options_;
  Archive archive_;
  journal::FileLayer& files_;
  std::vector<journal::Gap> repairs_;
};

}  // namespace trialwire::archive
