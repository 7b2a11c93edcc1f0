// SPDX-License-Identifier: Apache-2.0
#include "archive/archive.hpp"

#include <fmt/format.h>

namespace trialwire::archive {

using storage::ByteStream;

std::string Archive::where(std::string_view object) const {
  return fmt::format("{}/{}", store_.url(), object);
}

Result<std::vector<std::uint64_t>> Archive::numbers() const {
  std::vector<std::uint64_t> numbers;
  auto listed = store_.list(journal_prefix(journal_), [&](std::string_view name) {
    if (const auto number = number_of(journal_, name)) numbers.push_back(*number);
    return true;
  });
  if (!listed) return std::unexpected(listed.error());
  return numbers;
}

Result<Manifest> Archive::manifest(std::uint64_t number) const {
  const std::string name = manifest_object(journal_, number);
  const auto text = storage::get_text(store_, name, small_object_bytes_max);
  const auto named = [&](const Error& error) {
    return fail(error.code, fmt::format("{}: {}", where(name), error.text));
  };
  if (!text) {
    if (text.error().code == ErrorCode::not_found) {
      return fail(ErrorCode::not_found, fmt::format("{} is not there", where(name)));
    }
    return named(text.error());
  }
  auto manifest = parse_manifest(*text);
  if (!manifest) return named(manifest.error());
  if (manifest->journal != journal_ || manifest->segment.number != number) {
    return named(
        {ErrorCode::corrupt, fmt::format("it is of segment {:x} of journal {}",
                                         manifest->segment.number, manifest->journal.text())});
  }
  return manifest;
}

Result<std::optional<ChainMark>> Archive::mark(MarkKind kind) const {
  const std::string name =
      kind == MarkKind::begin ? begin_object(journal_) : expired_object(journal_);
  const auto text = storage::get_text(store_, name, small_object_bytes_max);
  if (!text && text.error().code == ErrorCode::not_found) return std::nullopt;
  if (!text) return std::unexpected(text.error());
  auto mark = parse_mark(kind, *text);
  if (mark && mark->journal != journal_) {
    mark = fail(ErrorCode::corrupt, fmt::format("it is of journal {}", mark->journal.text()));
  }
  if (!mark) {
    return fail(mark.error().code, fmt::format("{}: {}", where(name), mark.error().text));
  }
  return *mark;
}

Result<journal::VerifyingKey> Archive::key(std::string_view fingerprint) const {
  const std::string name = key_object(fingerprint);
  const auto text = storage::get_text(store_, name, small_object_bytes_max);
  if (!text && text.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, fmt::format("{} is not there", where(name)));
  }
  if (!text) return std::unexpected(text.error());
  auto key = journal::VerifyingKey::parse(*text);
  if (!key) return fail(key.error().code, fmt::format("{}: {}", where(name), key.error().text));
  if (key->fingerprint() != fingerprint) {
    return fail(ErrorCode::corrupt, fmt::format("{}: it is another key", where(name)));
  }
  return key;
}

Result<std::unique_ptr<ByteStream>> Archive::open_raw(const Manifest& manifest) const {
  auto stored = store_.get(segment_object(journal_, manifest.segment.number));
  if (!stored) return std::unexpected(stored.error());
  return std::make_unique<InflatedStream>(std::move(*stored));
}

Result<std::unique_ptr<BatchStream>> Archive::open(const Manifest& manifest) const {
  auto raw = open_raw(manifest);
  if (!raw) return std::unexpected(raw.error());
  return std::make_unique<BatchStream>(std::move(*raw),
                                       SegmentPlace{.journal = journal_,
                                                    .number = manifest.segment.number,
                                                    .bytes = manifest.raw_bytes,
                                                    .gaps = manifest.gaps});
}

Result<std::vector<Uuid>> journals_in(storage::ObjectStore& store) {
  std::vector<Uuid> journals;
  auto listed = store.list(all_segments_prefix, [&](std::string_view name) {
    name.remove_prefix(all_segments_prefix.size());
    const auto id = Uuid::parse(name.substr(0, name.find('/')));
    if (id && (journals.empty() || journals.back() != *id)) journals.push_back(*id);
    return true;
  });
  if (!listed) return std::unexpected(listed.error());
  return journals;
}

Result<StoredCheck> check_stored(const Archive& archive, const SegmentPlace& place,
                                 const Paced& paced) {
  const std::string name = segment_object(archive.journal(), place.number);
  const auto named = [&](const Error& error) {
    return fail(error.code, fmt::format("{}: {}", archive.where(name), error.text));
  };
  auto stored = archive.store().get(name);
  if (!stored) {
    if (stored.error().code == ErrorCode::not_found) {
      return fail(ErrorCode::not_found, fmt::format("{} is not there", archive.where(name)));
    }
    return named(stored.error());
  }
  StreamSums stored_sums;
  StreamSums raw_sums;
  BatchStream batches(std::make_unique<SummedStream>(
                          std::make_unique<InflatedStream>(
                              std::make_unique<SummedStream>(std::move(*stored), stored_sums)),
                          raw_sums),
                      place);
  while (true) {
    const auto batch = batches.next();
    if (!batch) return named(batch.error());
    if (*batch == nullptr) break;
    if (!paced) continue;
    if (auto goes_on = paced((*batch)->head.bytes()); !goes_on) {
      return std::unexpected(goes_on.error());
    }
  }
  return StoredCheck{.contents = batches.contents(),
                     .raw_bytes = raw_sums.bytes,
                     .raw_sha256 = raw_sums.hasher.finish(),
                     .stored_bytes = stored_sums.bytes,
                     .stored_sha256 = stored_sums.hasher.finish()};
}

Result<journal::Seal> check_seal(const Manifest& manifest, const journal::VerifyingKey& key) {
  auto seal = journal::parse_seal(manifest.seal, key);
  if (!seal) return fail(seal.error().code, "its seal: " + seal.error().text);
  if (seal->journal != manifest.journal || seal->segment != manifest.segment) {
    return fail(ErrorCode::corrupt, "its seal is of something else");
  }
  return seal;
}

}  // namespace trialwire::archive
