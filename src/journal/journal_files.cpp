// SPDX-License-Identifier: Apache-2.0
#include "journal/journal_files.hpp"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <charconv>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/rfc3339.hpp"

namespace trialwire::journal {
namespace {

using std::filesystem::path;

constexpr std::string_view segment_prefix = "segment-", segment_suffix = ".twj",
                           seal_suffix = ".seal", temporary_suffix = ".tmp";
constexpr std::uint64_t text_bytes_max = 16 << 20;

std::optional<std::uint64_t> parse_number(std::string_view name, std::string_view suffix) {
  if (!name.starts_with(segment_prefix) || !name.ends_with(suffix)) return std::nullopt;
  name.remove_prefix(segment_prefix.size());
  name.remove_suffix(suffix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number, 16);
  const bool whole = error == std::errc{} && end == name.data() + name.size() && name.size() == 16;
  // Upper-case digits would give one segment two names.
  const bool lower =
      std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'F'; });
  return whole && lower && number != 0 ? std::optional(number) : std::nullopt;
}

std::unexpected<Error> damaged(const path& file, std::string_view what) {
  return fail(ErrorCode::corrupt, fmt::format("{}: {}", file.native(), what));
}

constexpr std::string_view crc_line = "crc32c ";

std::string with_crc(std::string text) {
  return text + fmt::format("{}{:08x}\n", crc_line, crc32c(as_bytes(text)));
}

/// The text before the CRC line, when that line is right.
Result<std::string> read_checked(FileLayer& files, const path& file) {
  Result<std::string> text = read_text(files, file);
  if (!text) return text;
  constexpr std::size_t tail = crc_line.size() + 9;
  if (text->size() < tail) return damaged(file, "offset 0: the file is cut short");
  const std::size_t body = text->size() - tail;
  if (text->substr(body) != with_crc(text->substr(0, body)).substr(body)) {
    return damaged(file, fmt::format("offset {}: its checksum does not match", body));
  }
  text->resize(body);
  return text;
}

path room_for_retired(const path& directory) {
  return (directory / retired_name).native() + std::string(temporary_suffix);
}

}  // namespace

std::string segment_name(std::uint64_t number) {
  return fmt::format("{}{:016x}{}", segment_prefix, number, segment_suffix);
}

std::string seal_name(std::uint64_t number) {
  return fmt::format("{}{:016x}{}", segment_prefix, number, seal_suffix);
}

Listing classify(std::vector<std::string> names) {
  Listing found;
  std::sort(names.begin(), names.end());
  const auto flag = [&](std::string_view name) -> bool* {
    if (name == meta_name) return &found.meta;
    if (name == retired_name) return &found.retired;
    if (name == repairs_name) return &found.repairs;
    if (name == identity_key_name) return &found.identity_key;
    if (name == signing_key_name) return &found.signing_key;
    if (name == signing_public_name) return &found.signing_public;
    return nullptr;
  };
  const auto ours = [&](std::string_view name) {
    return flag(name) != nullptr || parse_number(name, segment_suffix) ||
           parse_number(name, seal_suffix) || name.starts_with("direct-probe-");
  };
  for (std::string& name : names) {
    const std::string_view view = name;
    if (bool* known = flag(view)) {
      *known = true;
    } else if (const auto number = parse_number(view, segment_suffix)) {
      found.segments.push_back(*number);
    } else if (const auto seal = parse_number(view, seal_suffix)) {
      found.seals.push_back(*seal);
    } else if (view.ends_with(temporary_suffix) &&
               ours(view.substr(0, view.size() - temporary_suffix.size()))) {
      found.unfinished.push_back(std::move(name));
    } else if (view != lock_name && view != quarantine_name && !view.starts_with(dedupe_prefix)) {
      found.unknown.push_back(std::move(name));
    }
  }
  return found;
}

Result<std::string> read_text(FileLayer& files, const path& file) {
  auto opened = files.open(file, OpenMode::read, false);
  if (!opened) return std::unexpected(opened.error());
  const auto size = (*opened)->size();
  if (!size) return std::unexpected(size.error());
  if (*size > text_bytes_max) return damaged(file, "offset 0: far too long");
  std::string text(*size, '\0');
  auto read = (*opened)->read_at(0, std::as_writable_bytes(std::span(text)));
  if (!read) return std::unexpected(read.error());
  return text;
}

Result<void> replace_text(FileLayer& files, const path& file, std::string_view text) {
  const path temporary = file.native() + std::string(temporary_suffix);
  auto created = files.open(temporary, OpenMode::create_new, false);
  if (!created) {
    // What an earlier, failed replacement left behind is of no use to anyone.
    if (!files.remove(temporary)) return std::unexpected(created.error());
    created = files.open(temporary, OpenMode::create_new, false);
    if (!created) return std::unexpected(created.error());
  }
  Result<void> done = (*created)->write_and_sync(0, as_bytes(text));
  created->reset();
  if (done) done = files.rename(temporary, file);
  if (!done) {
    static_cast<void>(files.remove(temporary));
    return done;
  }
  return files.sync_directory(file.parent_path());
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

bool from_hex(std::string_view text, std::span<std::uint8_t> into) noexcept {
  if (text.size() != 2 * into.size()) return false;
  for (std::size_t i = 0; i < into.size(); ++i) {
    const char* at = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(at, at + 2, into[i], 16);
    if (error != std::errc{} || end != at + 2) return false;
  }
  return true;
}

std::string_view FieldReader::text(std::string_view name) noexcept {
  const std::size_t end = left_.find('\n');
  if (!ok_ || end == std::string_view::npos || !left_.starts_with(name) || end <= name.size() ||
      left_[name.size()] != ' ') {
    ok_ = false;
    return {};
  }
  const std::string_view value = left_.substr(name.size() + 1, end - name.size() - 1);
  left_.remove_prefix(end + 1);
  return value;
}

std::uint64_t FieldReader::number(std::string_view name) noexcept {
  const std::string_view value = text(name);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size()) ok_ = false;
  return ok_ ? number : 0;
}

Uuid FieldReader::uuid(std::string_view name) noexcept {
  const auto parsed = Uuid::parse(text(name));
  if (!parsed) ok_ = false;
  return parsed.value_or(Uuid{});
}

Sha256 FieldReader::hash(std::string_view name) noexcept {
  Sha256 value{};
  if (!from_hex(text(name), value)) ok_ = false;
  return value;
}

Result<JournalMeta> read_meta(FileLayer& files, const path& directory) {
  const path file = directory / meta_name;
  const auto text = read_checked(files, file);
  if (!text) return std::unexpected(text.error());
  FieldReader fields(*text);
  JournalMeta meta;
  if (fields.number("trialwire-journal") != 1) return damaged(file, "offset 0: unknown format");
  meta.id = fields.uuid("journal");
  const auto created = parse_rfc3339(fields.text("created"));
  meta.segment_bytes = fields.number("segment_bytes");
  meta.identity.device = fields.number("device");
  meta.identity.inode = fields.number("inode");
  if (!fields.ok() || !created || meta.segment_bytes < 2 * block_bytes ||
      meta.segment_bytes % block_bytes != 0 || meta.segment_bytes > 1ULL << 40) {
    return damaged(file, "offset 0: a field is missing or wrong");
  }
  meta.created_ns = created->unix_ns;
  return meta;
}

Result<void> write_meta(FileLayer& files, const path& directory, JournalMeta meta) {
  const path file = directory / meta_name;
  const path temporary = file.native() + std::string(temporary_suffix);
  static_cast<void>(files.remove(temporary));
  auto created = files.open(temporary, OpenMode::create_new, false);
  if (!created) return std::unexpected(created.error());
  const auto identity = files.identity(temporary);
  if (!identity) return std::unexpected(identity.error());
  const std::string text = with_crc(fmt::format(
      "trialwire-journal 1\njournal {}\ncreated {}\nsegment_bytes {}\ndevice {}\ninode {}\n",
      meta.id.text(), format_rfc3339_ms(meta.created_ns), meta.segment_bytes, identity->device,
      identity->inode));
  Result<void> done = (*created)->write_and_sync(0, as_bytes(text));
  created->reset();
  if (done) done = files.rename(temporary, file);
  if (!done) {
    static_cast<void>(files.remove(temporary));
    return done;
  }
  return files.sync_directory(directory);
}

Result<Retired> read_retired(FileLayer& files, const path& directory) {
  const path file = directory / retired_name;
  const auto text = read_checked(files, file);
  if (!text) return std::unexpected(text.error());
  FieldReader fields(*text);
  Retired retired;
  if (fields.number("trialwire-retired") != 1) return damaged(file, "offset 0: unknown format");
  retired.through = fields.number("through");
  retired.next_sequence = fields.number("next_sequence");
  retired.chain_head = fields.hash("chain_head");
  if (!fields.ok()) return damaged(file, "offset 0: a field is missing or wrong");
  return retired;
}

void keep_room_for_retired(FileLayer& files, const path& directory) {
  const path name = room_for_retired(directory);
  // More than a block, also of file systems with large ones; or as much as there is.
  for (const std::size_t room : {64U << 10U, 16U << 10U, 4U << 10U}) {
    auto created = files.open(name, OpenMode::create_new, false);
    if (!created) return;
    if ((*created)->write_and_sync(0, as_bytes(std::string(room, '\0')))) return;
    created->reset();
    static_cast<void>(files.remove(name));
  }
}

void release_room_for_retired(FileLayer& files, const path& directory) {
  static_cast<void>(files.remove(room_for_retired(directory)));
}

Result<void> write_retired(FileLayer& files, const path& directory, const Retired& retired) {
  return replace_text(
      files, directory / retired_name,
      with_crc(fmt::format("trialwire-retired 1\nthrough {}\nnext_sequence {}\nchain_head {}\n",
                           retired.through, retired.next_sequence, to_hex(retired.chain_head))));
}

Result<std::vector<Gap>> read_repairs(FileLayer& files, const path& directory) {
  const path file = directory / repairs_name;
  const auto text = read_checked(files, file);
  if (!text) return std::unexpected(text.error());
  FieldReader fields(*text);
  if (fields.number("trialwire-repairs") != 1) return damaged(file, "offset 0: unknown format");
  std::vector<Gap> gaps;
  while (fields.ok() && !fields.at_end()) {
    Gap gap;
    gap.segment = fields.number("gap_in_segment");
    gap.offset = fields.number("offset");
    gap.bytes = fields.number("bytes");
    gap.lost_from = fields.number("lost_from");
    gap.resume_sequence = fields.number("resume_sequence");
    gap.resume_previous = fields.hash("resume_previous");
    if (gap.offset % block_bytes != 0 || gap.bytes % block_bytes != 0 ||
        gap.offset + gap.bytes < gap.offset) {
      return damaged(file, "offset 0: a gap does not lie on blocks");
    }
    gaps.push_back(gap);
  }
  if (!fields.ok()) return damaged(file, "offset 0: a field is missing or wrong");
  return gaps;
}

Result<void> write_repairs(FileLayer& files, const path& directory, std::span<const Gap> gaps) {
  std::string text = "trialwire-repairs 1\n";
  for (const Gap& gap : gaps) {
    text += fmt::format(
        "gap_in_segment {}\noffset {}\nbytes {}\nlost_from {}\nresume_sequence {}\n"
        "resume_previous {}\n",
        gap.segment, gap.offset, gap.bytes, gap.lost_from, gap.resume_sequence,
        to_hex(gap.resume_previous));
  }
  return replace_text(files, directory / repairs_name, with_crc(std::move(text)));
}

// 16 random bytes and their CRC32C: with another key every retry would be taken for a new report.
constexpr std::size_t identity_key_bytes = 20;

Result<SipKey> decode_identity_key(std::string_view text, const path& file) {
  if (text.size() != identity_key_bytes) return damaged(file, "offset 0: it is not 20 bytes long");
  const ByteView key = as_bytes(text).first(16);
  if (crc32c(key) != load_le<std::uint32_t>(text.data() + 16)) {
    return damaged(file, "offset 16: its checksum does not match");
  }
  return SipKey{load_le<std::uint64_t>(text.data()), load_le<std::uint64_t>(text.data() + 8)};
}

Result<SipKey> read_identity_key(FileLayer& files, const path& directory) {
  const path file = directory / identity_key_name;
  const auto text = read_text(files, file);
  if (!text) return std::unexpected(text.error());
  return decode_identity_key(*text, file);
}

Result<SipKey> take_identity_key(FileLayer& files, const path& directory, const path& file) {
  const auto text = read_text(files, file);
  if (!text) return std::unexpected(text.error());
  const auto shared = decode_identity_key(*text, file);
  if (!shared) return shared;
  const auto own = read_identity_key(files, directory);
  if (!own && own.error().code != ErrorCode::not_found) return own;
  if (!own) {
    auto written = replace_text(files, directory / identity_key_name, *text);
    if (!written) return std::unexpected(written.error());
    return shared;
  }
  if (own->k0 == shared->k0 && own->k1 == shared->k1) return shared;
  return fail(ErrorCode::invalid_argument,
              fmt::format("dedupe.key_file is {}, but the journal in {} was made with another key; "
                          "it keeps the one that it has",
                          file.native(), directory.native()));
}

Result<SipKey> ensure_identity_key(FileLayer& files, const path& directory) {
  auto key = read_identity_key(files, directory);
  if (key || key.error().code != ErrorCode::not_found) return key;
  std::array<unsigned char, identity_key_bytes> random{};
  TW_CHECK(RAND_bytes(random.data(), 16) == 1);
  store_le(random.data() + 16, crc32c(std::as_bytes(std::span(random)).first(16)));
  const std::string_view text(reinterpret_cast<const char*>(random.data()), random.size());
  auto written = replace_text(files, directory / identity_key_name, text);
  if (!written) return std::unexpected(written.error());
  return read_identity_key(files, directory);
}

}  // namespace trialwire::journal
