// SPDX-License-Identifier: Apache-2.0
// Which objects an archive consists of, and the small texts among them: marks and manifests end in
// a CRC32C of everything before it, so that no changed byte goes unseen. docs/archive.md has them
// with examples.
//   segments/JOURNAL/NUMBER.zst    a segment, compressed
//   segments/JOURNAL/NUMBER.json   its manifest, written last: with it the segment is archived
//   segments/JOURNAL/begin.json    with which segment this archive begins
//   segments/JOURNAL/expired.json  through which segment it was removed by archive.keep
//   keys/FINGERPRINT.pub           a public key that seals were signed with
// JOURNAL is the journal's UUID, NUMBER 16 hexadecimal digits as in the name of the segment's file.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/uuid.hpp"

namespace trialwire::archive {

std::string journal_prefix(const Uuid& journal);  // "segments/JOURNAL/"
std::string segment_object(const Uuid& journal, std::uint64_t number);
std::string manifest_object(const Uuid& journal, std::uint64_t number);
std::string begin_object(const Uuid& journal);
std::string expired_object(const Uuid& journal);
std::string key_object(std::string_view fingerprint);

constexpr std::string_view all_segments_prefix = "segments/";
constexpr std::size_t small_object_bytes_max = 1 << 20;

/// The segment whose manifest (or, with `suffix` ".zst", whose object) has this name.
std::optional<std::uint64_t> number_of(const Uuid& journal, std::string_view name,
                                       std::string_view suffix = ".json");

/// A place between two segments, and the chain's state there.
struct ChainMark {
  Uuid journal;
  std::uint64_t segment = 0;   // begin: the first one; expired: the last one removed
  std::uint64_t sequence = 1;  // the first that is archived from there on
  Sha256 chain{};              // hash of the header before it
  std::int64_t written_ns = 0;
};

enum class MarkKind : std::uint8_t { begin, expired };
std::string mark_text(MarkKind kind, const ChainMark& mark);
Result<ChainMark> parse_mark(MarkKind kind, std::string_view text);

/// `fields` ("…": …, one a line, without braces and the last comma) as an object with its checksum.
std::string with_checksum(std::string fields);
/// The object, when its checksum is right. Error corrupt says what is wrong.
Result<boost::json::object> parse_checked(std::string_view text);

/// Fields of an object; the first that is missing or of the wrong form makes `ok` false for good.
class Fields {
 public:
  explicit Fields(const boost::json::object& object) noexcept : object_(object) {}
  std::string_view text(std::string_view name) noexcept;
  std::uint64_t number(std::string_view name) noexcept;
  Uuid uuid(std::string_view name) noexcept;
  Sha256 hash(std::string_view name) noexcept;
  std::int64_t time(std::string_view name) noexcept;
  const boost::json::object& object(std::string_view name) noexcept;
  const boost::json::array& array(std::string_view name) noexcept;
  bool ok() const noexcept { return ok_; }

 private:
  const boost::json::value* find(std::string_view name) noexcept;
  const boost::json::object& object_;
  bool ok_ = true;
};

}  // namespace trialwire::archive
