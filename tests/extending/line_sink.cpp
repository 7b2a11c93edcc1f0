// SPDX-License-Identifier: Apache-2.0
#include "line_sink.hpp"

#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/uuid.hpp"
#include "pipeline/small_file.hpp"

namespace trialwire::extending {
namespace {

constexpr std::size_t record_bytes_max = 1 << 20;

void append_line(std::string& to, const journal::Record& record) {
  const Uuid id = record_id({.journal = record.journal,
                             .epoch = record.epoch,
                             .sequence = record.sequence,
                             .received_ns = record.attributes.received_ns});
  fmt::format_to(std::back_inserter(to), "{}\t", id.text());
  for (const std::byte byte : record.bytes) {
    fmt::format_to(std::back_inserter(to), "{:02x}", std::to_integer<unsigned>(byte));
  }
  to += '\n';
}

/// Of "JOURNAL NEXT BYTES", the part that begins at `at`, which moves behind it. False: it is none.
bool read_number(std::string_view text, std::size_t& at, std::uint64_t& number) {
  if (at >= text.size() || text[at] != ' ') return false;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + at + 1, end, number);
  at = static_cast<std::size_t>(stop - text.data());
  return error == std::errc{};
}

}  // namespace

LineSink::LineSink(std::filesystem::path file, journal::FileLayer& files)
    : file_(std::move(file)), files_(files) {}

std::filesystem::path LineSink::cursor_file() const {
  return std::filesystem::path(file_).concat(".cursor");
}

Result<LineSink::Place> LineSink::read_place() const {
  Place place;
  if (!pipeline::is_there(cursor_file(), files_)) return place;
  const auto text = pipeline::read_whole(cursor_file(), files_);
  if (!text) return std::unexpected(text.error());
  std::size_t at = text->find(' ');
  place.journal = text->substr(0, at);
  if (!read_number(*text, at, place.next_sequence) || !read_number(*text, at, place.bytes)) {
    return fail(ErrorCode::corrupt, fmt::format("{} is no cursor", cursor_file().string()));
  }
  return place;
}

Result<void> LineSink::open() {
  if (lines_) return {};
  const auto mode = pipeline::is_there(file_, files_) ? journal::OpenMode::write_existing
                                                      : journal::OpenMode::create_new;
  auto opened = files_.open(file_, mode, false);
  if (!opened) return std::unexpected(opened.error());
  lines_ = std::move(*opened);
  return {};
}

Result<journal::Cursor> LineSink::durable_cursor(const Uuid& journal) {
  auto place = read_place();
  if (!place) return std::unexpected(place.error());
  if (!place->journal.empty() && place->journal != journal.text()) {
    return fail(ErrorCode::corrupt, fmt::format("{} is of another journal", file_.string()));
  }
  place_ = std::move(*place);
  return journal::Cursor{.journal = journal, .next_sequence = place_.next_sequence};
}

Result<void> LineSink::deliver(std::span<const journal::Record> records,
                               const journal::Cursor& cursor) {
  std::string text;
  for (const journal::Record& record : records) {
    if (record.bytes.size() > record_bytes_max) {
      return fail(ErrorCode::payload_too_large, "a record is larger than a line may be");
    }
    append_line(text, record);
  }
  const auto there = read_place();
  if (!there) return std::unexpected(there.error());
  if (*there != place_) return fail(ErrorCode::conflict, "somebody else has written the cursor");
  if (auto opened = open(); !opened) return opened;
  if (!text.empty()) {
    auto written = lines_->write_and_sync(place_.bytes, as_bytes(text));
    if (!written) return written;
  }
  Place next{.journal = cursor.journal.text(),
             .next_sequence = cursor.next_sequence,
             .bytes = place_.bytes + text.size()};
  const std::string line = fmt::format("{} {} {}", next.journal, next.next_sequence, next.bytes);
  if (auto kept = pipeline::write_whole(cursor_file(), line, files_); !kept) return kept;
  place_ = std::move(next);
  return {};
}

}  // namespace trialwire::extending
