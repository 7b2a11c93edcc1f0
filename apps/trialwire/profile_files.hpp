// SPDX-License-Identifier: Apache-2.0
// data_dir/profiles: what SIGUSR1 and SIGUSR2 leave there, readable by the owner alone. Of each
// kind the newest few are kept.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace trialwire {

struct ProfileFileName {
  std::string_view kind;    // "cpu", "heap", "threads"
  std::string_view suffix;  // ".prof"
};

class ProfileFiles {
 public:
  /// `kept` of each kind and suffix. The directory is made with the first file.
  ProfileFiles(std::filesystem::path directory, std::size_t kept);

  /// KIND-20261127T080910.123Z.SUFFIX with mode 0600; then removes the oldest beyond `kept`.
  /// The path. Errors: those of the file system.
  Result<std::filesystem::path> write(const ProfileFileName& name, std::int64_t unix_ns,
                                      std::string_view content) const;
  /// Files there are, of all kinds.
  std::size_t count() const noexcept;

 private:
  void remove_old(const ProfileFileName& name) const noexcept;

  std::filesystem::path directory_;
  std::size_t kept_;
};

}  // namespace trialwire
