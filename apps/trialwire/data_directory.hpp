// SPDX-License-Identifier: Apache-2.0
// The directory of everything that is kept, held by one process at a time.
//   data_dir/journal/          the journal
//   data_dir/trialwire.db      the default database
//   data_dir/archive/          the default archive
//   data_dir/deadletters.db    what a sink refuses; see `trialwire deadletter`
//   data_dir/cursors/          of each sink: its lanes, and how far it is
//   data_dir/audit/            the settings of the last start, and what commands left for the trail
//   data_dir/profiles/         what SIGUSR1 and SIGUSR2 left there
//   data_dir/run/ports.json    who serves, and where; while it serves
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace trialwire {

/// What listens; written to run/ports.json as JSON.
struct ServingAddresses {
  std::string http;
  std::string admin;
};

class DataDirectory {
 public:
  /// Creates it (0700) when missing, with those above it; then holds it until destroyed. Errors are
  /// one clear line: not writable, no directory, held by another process (named). Nothing in it is
  /// touched then.
  static Result<DataDirectory> open(const std::filesystem::path& path);
  ~DataDirectory();
  DataDirectory(DataDirectory&& other) noexcept;
  DataDirectory& operator=(DataDirectory&&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path journal() const { return path_ / "journal"; }
  /// Others than the owner may read or enter it.
  bool open_to_others() const noexcept;

  /// Atomically: a reader sees a whole file or none. Removed when this is destroyed.
  Result<void> publish(const ServingAddresses& addresses);

 private:
  DataDirectory(std::filesystem::path path, int descriptor) noexcept;
  std::filesystem::path path_;
  int descriptor_ = -1;  // holds the lock
  bool published_ = false;
};

/// "file:data/x" → DATA_DIR/x; "file:/srv/x" and "file:x" as they are.
std::filesystem::path path_of_url(std::string_view url, const std::filesystem::path& data_dir);

/// DATA_DIR/deadletters.db
std::filesystem::path dead_letters_path(const std::filesystem::path& data_dir);

}  // namespace trialwire
