// SPDX-License-Identifier: Apache-2.0
// The small files beside the segments: their names, and their text with a CRC as its last line.
// Each is replaced whole (temporary name, sync, rename, sync of the directory), so that what has
// the name is whole, or damaged and said so.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/uuid.hpp"
#include "journal/file_layer.hpp"

namespace trialwire::journal {

constexpr std::string_view meta_name = "journal.meta";
constexpr std::string_view retired_name = "retired";
constexpr std::string_view repairs_name = "repairs";
constexpr std::string_view identity_key_name = "identity.key";
constexpr std::string_view signing_key_name = "signing.key";
constexpr std::string_view signing_public_name = "signing.pub";
constexpr std::string_view lock_name = "lock";
constexpr std::string_view quarantine_name = "quarantine";
constexpr std::string_view dedupe_prefix = "dedupe-";  // files of the identity index, not ours

std::string segment_name(std::uint64_t number);  // "segment-000000000000000c.twj"
std::string seal_name(std::uint64_t number);     // "segment-000000000000000c.seal"

/// What is in a journal's directory, by name alone; each list ascending.
struct Listing {
  std::vector<std::uint64_t> segments;
  std::vector<std::uint64_t> seals;
  std::vector<std::string> unfinished;  // temporary names of an interrupted write
  std::vector<std::string> unknown;
  bool meta = false, retired = false, repairs = false;
  bool identity_key = false, signing_key = false, signing_public = false;

  bool empty_of_journal() const noexcept { return !meta && segments.empty() && seals.empty(); }
};
Listing classify(std::vector<std::string> names);

struct JournalMeta {
  Uuid id;
  std::int64_t created_ns = 0;
  std::uint64_t segment_bytes = 0;
  FileIdentity identity;  // of the file itself: another one says that the directory was copied
};

/// Segments deleted by policy, and where the chain goes on after them.
struct Retired {
  std::uint64_t through = 0;  // number of the last one; 0: none
  std::uint64_t next_sequence = 1;
  Sha256 chain_head{};
};

/// A place where a repair took damaged bytes away: there the chain goes on with other values.
struct Gap {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;      // zeros to be skipped; the whole file may be missing
  std::uint64_t lost_from = 0;  // sequences [lost_from, resume_sequence) are lost
  std::uint64_t resume_sequence = 0;
  Sha256 resume_previous{};  // what the next batch has as `previous`
};

Result<JournalMeta> read_meta(FileLayer& files, const std::filesystem::path& directory);
/// Stores the identity of the file that it writes in place of `meta.identity`.
Result<void> write_meta(FileLayer& files, const std::filesystem::path& directory, JournalMeta meta);

Result<Retired> read_retired(FileLayer& files, const std::filesystem::path& directory);
/// So that a segment can be deleted on a disk without a free block: some blocks under the name that
/// `write_retired` removes before it writes. Nothing if they are there, or cannot be had.
void keep_room_for_retired(FileLayer& files, const std::filesystem::path& directory);
void release_room_for_retired(FileLayer& files, const std::filesystem::path& directory);
Result<void> write_retired(FileLayer& files, const std::filesystem::path& directory,
                           const Retired& retired);

Result<std::vector<Gap>> read_repairs(FileLayer& files, const std::filesystem::path& directory);
Result<void> write_repairs(FileLayer& files, const std::filesystem::path& directory,
                           std::span<const Gap> gaps);

Result<SipKey> read_identity_key(FileLayer& files, const std::filesystem::path& directory);
/// Random; kept when it exists.
Result<SipKey> ensure_identity_key(FileLayer& files, const std::filesystem::path& directory);
/// That of `file`, another journal's. Errors: those of reading it; invalid_argument, when there is
/// another key here already.
Result<SipKey> take_identity_key(FileLayer& files, const std::filesystem::path& directory,
                                 const std::filesystem::path& file);

/// The whole file, at most 16 MiB.
Result<std::string> read_text(FileLayer& files, const std::filesystem::path& path);
/// Durable when it returns: temporary name, sync, rename, sync of the directory.
Result<void> replace_text(FileLayer& files, const std::filesystem::path& path,
                          std::string_view text);

std::string to_hex(std::span<const std::uint8_t> bytes);
bool from_hex(std::string_view text, std::span<std::uint8_t> into) noexcept;

/// "name value" lines in a fixed order, for the small files and the seals.
class FieldReader {
 public:
  explicit FieldReader(std::string_view text) noexcept : left_(text) {}
  /// The value of the next line when it has this name; otherwise the reader fails and stays so.
  std::string_view text(std::string_view name) noexcept;
  std::uint64_t number(std::string_view name) noexcept;
  Uuid uuid(std::string_view name) noexcept;
  Sha256 hash(std::string_view name) noexcept;
  bool ok() const noexcept { return ok_; }
  bool at_end() const noexcept { return left_.empty(); }
  std::string_view left() const noexcept { return left_; }

 private:
  std::string_view left_;
  bool ok_ = true;
};

}  // namespace trialwire::journal
