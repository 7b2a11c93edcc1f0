// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/cursor_file.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/hash.hpp"

namespace trialwire::storage::kafka {
namespace {

constexpr std::string_view begin = "trialwire cursor 1 journal=";
constexpr std::string_view before_next = " next=";
constexpr std::string_view before_crc = " crc32c=";
constexpr std::size_t file_bytes_max = 256;

std::string line_of(const journal::Cursor& cursor) {
  std::string line =
      fmt::format("{}{}{}{}", begin, cursor.journal.text(), before_next, cursor.next_sequence);
  fmt::format_to(std::back_inserter(line), "{}{:08x}\n", before_crc, crc32c(as_bytes(line)));
  return line;
}

/// A line is right only when it is the one that would be written for what it says.
std::optional<journal::Cursor> parse(std::string_view line) {
  if (!line.starts_with(begin)) return std::nullopt;
  std::string_view left = line.substr(begin.size());
  if (left.size() < Uuid::text_size) return std::nullopt;
  auto id = Uuid::parse(left.substr(0, Uuid::text_size));
  left.remove_prefix(Uuid::text_size);
  if (!id || !left.starts_with(before_next)) return std::nullopt;
  left.remove_prefix(before_next.size());
  journal::Cursor cursor{.journal = *id};
  auto read = std::from_chars(left.data(), left.data() + left.size(), cursor.next_sequence);
  if (read.ec != std::errc{} || cursor.next_sequence == 0) return std::nullopt;
  if (line != line_of(cursor)) return std::nullopt;
  return cursor;
}

}  // namespace

CursorFile::CursorFile(journal::FileLayer& files, std::filesystem::path path)
    : files_(files), path_(std::move(path)) {}

Result<std::optional<journal::Cursor>> CursorFile::load() {
  auto file = files_.open(path_, journal::OpenMode::read, false);
  if (!file) {
    if (file.error().code == ErrorCode::not_found) return std::nullopt;
    return std::unexpected(file.error());
  }
  auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  std::string text(std::min<std::uint64_t>(*size, file_bytes_max), '\0');
  auto read = (*file)->read_at(0, std::as_writable_bytes(std::span(text)));
  if (!read) return std::unexpected(read.error());
  auto cursor = parse(text);
  if (!cursor || *size > file_bytes_max) {
    return fail(ErrorCode::corrupt,
                fmt::format("{}: holds no cursor that this program wrote; without the file "
                            "everything is sent again",
                            path_.string()));
  }
  return cursor;
}

Result<void> CursorFile::store(const journal::Cursor& cursor) {
  const std::filesystem::path directory = path_.parent_path();
  if (!directory_made_) {
    if (auto made = files_.create_directory(directory); !made) return made;
    if (auto synced = files_.sync_directory(directory.parent_path()); !synced) return synced;
    directory_made_ = true;
  }
  std::filesystem::path temporary = path_;
  temporary += ".new";
  // Of an earlier attempt; that it may not be there is the usual case.
  static_cast<void>(files_.remove(temporary));
  auto file = files_.open(temporary, journal::OpenMode::create_new, false);
  if (!file) return std::unexpected(file.error());
  const std::string line = line_of(cursor);
  if (auto written = (*file)->write_and_sync(0, as_bytes(line)); !written) return written;
  file->reset();
  if (auto renamed = files_.rename(temporary, path_); !renamed) return renamed;
  return files_.sync_directory(directory);
}

}  // namespace trialwire::storage::kafka
