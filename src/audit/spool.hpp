// SPDX-License-Identifier: Apache-2.0
// How commands that run beside a server, or without one, get their entries into the audit trail:
// each leaves a file in DATA_DIR/audit/spool before it does anything; the server that holds the
// directory, or the next one, puts it into the journal and removes it. A file that comes twice,
// because the process ended in between, is one record: its name is its identity.
//
// Bounds: a file of at most spool_bytes_max, one at a time, ten a second.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "audit/entry.hpp"
#include "audit/entry_reader.hpp"
#include "audit/trail.hpp"
#include "base/error.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::audit {

constexpr std::size_t spool_bytes_max = 256 << 10;

std::filesystem::path spool_directory(const std::filesystem::path& data_dir);

/// Durable when it returns; of the data directory's owner, whoever runs the command. The data
/// directory must be there. Errors: not_found, io, disk_full; nothing is left then.
Result<void> leave_entry(const std::filesystem::path& data_dir, const Entry& entry);

/// Takes the files in. On the thread of its trail.
class Spool final : public journal::Waiter {
 public:
  Spool(std::filesystem::path directory, Trail& trail, telemetry::Registry& metrics);
  /// Blocks for the reading of a directory and of one small file.
  void tick(std::int64_t unix_ns);
  void committed(const journal::Receipt& receipt) noexcept override;

 private:
  bool next_file();
  void set_aside(std::string_view reason);

  const std::filesystem::path directory_;
  Trail& trail_;
  EntryReader reader_;
  std::filesystem::path file_;  // that is being taken in
  bool waiting_ = false;
  std::int64_t idle_until_ns_ = 0;
  telemetry::Gauge& waiting_files_;
  telemetry::Counter& unreadable_;
};

}  // namespace trialwire::audit
