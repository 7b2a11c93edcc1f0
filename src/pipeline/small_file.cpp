// SPDX-License-Identifier: Apache-2.0
#include "pipeline/small_file.hpp"

#include <algorithm>
#include <cstdint>
#include <span>

#include "base/bytes.hpp"

namespace trialwire::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t file_bytes_max = 64 << 10;

}  // namespace

bool is_there(const fs::path& file, journal::FileLayer& files) {
  auto names = files.list(file.parent_path());
  return names && std::ranges::find(*names, file.filename().string()) != names->end();
}

Result<std::string> read_whole(const fs::path& path, journal::FileLayer& files) {
  auto file = files.open(path, journal::OpenMode::read, false);
  if (!file) return std::unexpected(file.error());
  auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  std::string text(std::min(*size, file_bytes_max), '\0');
  MutableBytes into = std::as_writable_bytes(std::span(text.data(), text.size()));
  if (auto read = (*file)->read_at(0, into); !read) return std::unexpected(read.error());
  return text;
}

Result<void> write_whole(const fs::path& path, std::string_view text, journal::FileLayer& files) {
  if (auto made = files.create_directory(path.parent_path()); !made) return made;
  const fs::path temporary = path.native() + ".tmp";
  static_cast<void>(files.remove(temporary));
  auto file = files.open(temporary, journal::OpenMode::create_new, false);
  if (!file) return std::unexpected(file.error());
  Result<void> done = (*file)->write_and_sync(0, as_bytes(text));
  file->reset();
  if (done) done = files.rename(temporary, path);
  if (done) done = files.sync_directory(path.parent_path());
  return done;
}

}  // namespace trialwire::pipeline
