// SPDX-License-Identifier: Apache-2.0
// The archive as the server runs it: the archiver, and the journal as the sinks see it, with the
// archived records before its own.
#pragma once
#include <memory>

#include "admin.hpp"
#include "archive/archived_journal.hpp"
#include "archive/archiver.hpp"
#include "config/settings.hpp"
#include "data_directory.hpp"
#include "storage/objects/object_store.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire {

class ArchiveService {
 public:
  /// Null, and said in the log, when archive.url is empty. From here on the journal deletes nothing
  /// that is not archived; that the archive cannot be reached is no error.
  static Result<std::unique_ptr<ArchiveService>> make(const config::Settings& settings,
                                                      const DataDirectory& directory,
                                                      journal::Journal& journal,
                                                      journal::FileLayer& files,
                                                      telemetry::Registry& metrics);

  /// For the sinks. Lives as long as this.
  journal::Journal& journal() noexcept { return archived_journal_; }
  void start() { archiver_.start(); }
  void stop() { archiver_.stop(); }
  /// An archive that fails is shown; intake goes on until the journal's budget is used up.
  ReadinessCheck readiness() const;

 private:
  ArchiveService(const config::Settings& settings, const DataDirectory& directory,
                 std::unique_ptr<storage::ObjectStore> store, journal::Journal& journal,
                 journal::FileLayer& files, telemetry::Registry& metrics);

  std::unique_ptr<storage::ObjectStore> store_;
  archive::ArchivedJournal archived_journal_;
  archive::Archiver archiver_;
};

}  // namespace trialwire
