// SPDX-License-Identifier: Apache-2.0
#include "journal/quarantine.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "journal/journal_files.hpp"
#include "journal/read_window.hpp"

namespace trialwire::journal {
namespace {

using std::filesystem::path;

constexpr std::string_view torn_prefix = "torn-";

Result<std::uint64_t> size_of(FileLayer& files, const path& name) {
  auto file = files.open(name, OpenMode::read, false);
  if (!file) return std::unexpected(file.error());
  return (*file)->size();
}

/// In the order of their places in the journal, the oldest first.
Result<void> make_room(FileLayer& files, const path& quarantine, std::uint64_t bytes_max) {
  auto names = files.list(quarantine);
  if (!names) return std::unexpected(names.error());
  std::erase_if(*names, [](const std::string& name) { return !name.starts_with(torn_prefix); });
  std::ranges::sort(*names, std::greater{});
  std::uint64_t bytes = 0;
  for (const std::string& name : *names) {
    const auto size = size_of(files, quarantine / name);
    if (!size) return std::unexpected(size.error());
    bytes += *size;
    if (bytes <= bytes_max) continue;
    if (auto done = files.remove(quarantine / name); !done) return done;
  }
  return {};
}

Result<void> write_copy(FileLayer& files, const path& segment, const BatchExtent& torn,
                        const path& to) {
  const auto from = files.open(segment, OpenMode::read, false);
  if (!from) return std::unexpected(from.error());
  const auto copy = files.open(to, OpenMode::create_new, false);
  if (!copy) return std::unexpected(copy.error());
  auto done = copy_stretch(**from, {torn.offset, torn.offset + torn.bytes}, **copy, 0);
  if (done) done = (*copy)->sync();
  return done;
}

}  // namespace

Result<void> copy_stretch(File& from, const Stretch& stretch, File& to, std::uint64_t at) {
  constexpr std::size_t piece = 1 << 20;
  ReadWindow window;
  window.open(from, stretch.to);
  for (std::uint64_t next = stretch.from; next < stretch.to;) {
    const std::size_t some = std::min<std::uint64_t>(piece, stretch.to - next);
    const auto bytes = window.view(next, some, some);
    if (!bytes) return std::unexpected(bytes.error());
    if (auto written = to.write_at(at + (next - stretch.from), *bytes); !written) return written;
    next += some;
  }
  return {};
}

Result<path> free_in_quarantine(FileLayer& files, const path& directory, const std::string& name) {
  const path quarantine = directory / quarantine_name;
  const auto taken = files.list(quarantine);
  if (!taken) return std::unexpected(taken.error());
  std::string free = name;
  for (int copy = 1; std::ranges::find(*taken, free) != taken->end(); ++copy) {
    free = fmt::format("{}.{}", name, copy);
  }
  return quarantine / free;
}

Result<path> keep_torn(FileLayer& files, const path& directory, const BatchExtent& torn,
                       std::uint64_t bytes_max) {
  const path quarantine = directory / quarantine_name;
  if (auto made = files.create_directory(quarantine); !made) return std::unexpected(made.error());
  const auto to = free_in_quarantine(
      files, directory,
      fmt::format("{}{}-{:016x}", torn_prefix, segment_name(torn.segment), torn.offset));
  if (!to) return to;
  const std::uint64_t others = bytes_max - std::min(bytes_max, torn.bytes);
  if (auto room = make_room(files, quarantine, others); !room) {
    return std::unexpected(room.error());
  }
  auto done = write_copy(files, directory / segment_name(torn.segment), torn, *to);
  if (!done) static_cast<void>(files.remove(*to));
  if (done) done = files.sync_directory(quarantine);
  if (done) done = files.sync_directory(directory);
  if (!done) return std::unexpected(done.error());
  return *to;
}

}  // namespace trialwire::journal
