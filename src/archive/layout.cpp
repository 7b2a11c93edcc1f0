// SPDX-License-Identifier: Apache-2.0
#include "archive/layout.hpp"

#include <charconv>

#include <fmt/format.h>

#include "base/rfc3339.hpp"
#include "journal/journal_files.hpp"

namespace trialwire::archive {
namespace {

constexpr std::string_view checksum_field = ",\n\"crc32c\": \"";
constexpr std::string_view checksum_end = "\"\n}\n";
constexpr std::size_t checksum_digits = 8;

std::string_view format_of(MarkKind kind) {
  return kind == MarkKind::begin ? "trialwire-archive-begin 1" : "trialwire-archive-expired 1";
}

std::string object_in(const Uuid& journal, std::uint64_t number, std::string_view suffix) {
  return fmt::format("{}{:016x}{}", journal_prefix(journal), number, suffix);
}

}  // namespace

std::string journal_prefix(const Uuid& journal) {
  return fmt::format("{}{}/", all_segments_prefix, journal.text());
}
std::string segment_object(const Uuid& journal, std::uint64_t number) {
  return object_in(journal, number, ".zst");
}
std::string manifest_object(const Uuid& journal, std::uint64_t number) {
  return object_in(journal, number, ".json");
}
std::string begin_object(const Uuid& journal) {
  return journal_prefix(journal) + "begin.json";
}
std::string expired_object(const Uuid& journal) {
  return journal_prefix(journal) + "expired.json";
}
std::string key_object(std::string_view fingerprint) {
  return fmt::format("keys/{}.pub", fingerprint);
}

std::optional<std::uint64_t> number_of(const Uuid& journal, std::string_view name,
                                       std::string_view suffix) {
  const std::string prefix = journal_prefix(journal);
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  name.remove_suffix(suffix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number, 16);
  const bool whole = error == std::errc{} && end == name.data() + name.size();
  // One name a number: 16 digits, lower case.
  if (!whole || name != fmt::format("{:016x}", number)) return std::nullopt;
  return number;
}

std::string with_checksum(std::string fields) {
  std::string text = "{\n" + std::move(fields);
  const std::uint32_t crc = crc32c(as_bytes(text));
  text += fmt::format("{}{:08x}{}", checksum_field, crc, checksum_end);
  return text;
}

Result<boost::json::object> parse_checked(std::string_view text) {
  constexpr std::size_t tail = checksum_field.size() + checksum_digits + checksum_end.size();
  if (text.size() < tail) return fail(ErrorCode::corrupt, "it is cut short");
  const std::string_view body = text.substr(0, text.size() - tail);
  const std::string expected =
      fmt::format("{}{:08x}{}", checksum_field, crc32c(as_bytes(body)), checksum_end);
  if (text.substr(body.size()) != expected) {
    return fail(ErrorCode::corrupt, "its checksum does not match");
  }
  boost::json::error_code error;
  boost::json::value value = boost::json::parse(text, error);
  if (error || !value.is_object()) return fail(ErrorCode::corrupt, "it is not a JSON object");
  return std::move(value.as_object());
}

const boost::json::value* Fields::find(std::string_view name) noexcept {
  const boost::json::value* found = object_.if_contains(name);
  if (found == nullptr) ok_ = false;
  return found;
}

std::string_view Fields::text(std::string_view name) noexcept {
  const auto* value = find(name);
  const auto* string = value == nullptr ? nullptr : value->if_string();
  if (string == nullptr) ok_ = false;
  return string == nullptr ? std::string_view{} : std::string_view(*string);
}

std::uint64_t Fields::number(std::string_view name) noexcept {
  const auto* value = find(name);
  if (value != nullptr && value->is_int64() && value->get_int64() >= 0) {
    return static_cast<std::uint64_t>(value->get_int64());
  }
  if (value != nullptr && value->is_uint64()) return value->get_uint64();
  ok_ = false;
  return 0;
}

Uuid Fields::uuid(std::string_view name) noexcept {
  const auto parsed = Uuid::parse(text(name));
  if (!parsed) ok_ = false;
  return parsed.value_or(Uuid{});
}

Sha256 Fields::hash(std::string_view name) noexcept {
  Sha256 value{};
  if (!journal::from_hex(text(name), value)) ok_ = false;
  return value;
}

std::int64_t Fields::time(std::string_view name) noexcept {
  const std::string_view written = text(name);
  const auto parsed = parse_rfc3339(written);
  // Only as it is written: 2261-12-31T23:59:59-01:00 would be of a year that cannot be read back.
  if (!parsed || format_rfc3339_ms(parsed->unix_ns) != written) ok_ = false;
  return parsed ? parsed->unix_ns : 0;
}

const boost::json::object& Fields::object(std::string_view name) noexcept {
  static const boost::json::object none;
  const auto* value = find(name);
  const auto* found = value == nullptr ? nullptr : value->if_object();
  if (found == nullptr) ok_ = false;
  return found == nullptr ? none : *found;
}

const boost::json::array& Fields::array(std::string_view name) noexcept {
  static const boost::json::array none;
  const auto* value = find(name);
  const auto* found = value == nullptr ? nullptr : value->if_array();
  if (found == nullptr) ok_ = false;
  return found == nullptr ? none : *found;
}

std::string mark_text(MarkKind kind, const ChainMark& mark) {
  return with_checksum(fmt::format(
      "\"format\": \"{}\",\n\"journalId\": \"{}\",\n\"segment\": {},\n\"nextSequence\": {},\n"
      "\"chain\": \"{}\",\n\"writtenAt\": \"{}\"",
      format_of(kind), mark.journal.text(), mark.segment, mark.sequence,
      journal::to_hex(mark.chain), format_rfc3339_ms(mark.written_ns)));
}

Result<ChainMark> parse_mark(MarkKind kind, std::string_view text) {
  const auto object = parse_checked(text);
  if (!object) return std::unexpected(object.error());
  Fields fields(*object);
  if (fields.text("format") != format_of(kind)) {
    return fail(ErrorCode::corrupt, "it is of another format");
  }
  ChainMark mark;
  mark.journal = fields.uuid("journalId");
  mark.segment = fields.number("segment");
  mark.sequence = fields.number("nextSequence");
  mark.chain = fields.hash("chain");
  mark.written_ns = fields.time("writtenAt");
  if (!fields.ok()) return fail(ErrorCode::corrupt, "a field is missing or wrong");
  return mark;
}

}  // namespace trialwire::archive
