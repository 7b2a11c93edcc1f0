// SPDX-License-Identifier: Apache-2.0
// One journal's part of an archive, as it is read: what there is, its manifests, its segments.
// Holds no state but the journal's id; every call asks the store. Any thread.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "archive/batch_stream.hpp"
#include "archive/layout.hpp"
#include "archive/manifest.hpp"
#include "archive/zstd_stream.hpp"
#include "base/error.hpp"
#include "journal/seal.hpp"
#include "storage/objects/object_store.hpp"

namespace trialwire::archive {

class Archive {
 public:
  /// The store must outlive it.
  Archive(storage::ObjectStore& store, const Uuid& journal) noexcept
      : store_(store), journal_(journal) {}

  const Uuid& journal() const noexcept { return journal_; }
  storage::ObjectStore& store() const noexcept { return store_; }
  /// "file:/srv/archive/segments/…": how an object is named to people.
  std::string where(std::string_view object) const;

  /// Segments with a manifest, ascending.
  Result<std::vector<std::uint64_t>> numbers() const;
  /// Errors: not_found; corrupt, when it is damaged or not this segment's.
  Result<Manifest> manifest(std::uint64_t number) const;
  Result<std::optional<ChainMark>> mark(MarkKind kind) const;
  /// The key with this fingerprint. Errors: not_found; corrupt, when it is another one.
  Result<journal::VerifyingKey> key(std::string_view fingerprint) const;

  /// The batches of an archived segment.
  Result<std::unique_ptr<BatchStream>> open(const Manifest& manifest) const;
  /// The bytes of its file.
  Result<std::unique_ptr<storage::ByteStream>> open_raw(const Manifest& manifest) const;

 private:
  storage::ObjectStore& store_;
  Uuid journal_;
};

/// The journals that have something in the archive, ascending.
Result<std::vector<Uuid>> journals_in(storage::ObjectStore& store);

/// A stored segment, read whole: its batches checked, its sums taken.
struct StoredCheck {
  SegmentContents contents;
  std::uint64_t raw_bytes = 0;
  Sha256 raw_sha256{};
  std::uint64_t stored_bytes = 0;
  Sha256 stored_sha256{};
};
/// Errors: corrupt, not_found; the store's own. All name the object.
/// `paced`: called after so many more bytes of the segment; its error ends it.
using Paced = std::function<Result<void>(std::uint64_t bytes)>;
Result<StoredCheck> check_stored(const Archive& archive, const SegmentPlace& place,
                                 const Paced& paced = {});

/// The seal in the manifest as it was signed. Errors: corrupt, when the signature does not match
/// or it does not say what the manifest says.
Result<journal::Seal> check_seal(const Manifest& manifest, const journal::VerifyingKey& key);

}  // namespace trialwire::archive
