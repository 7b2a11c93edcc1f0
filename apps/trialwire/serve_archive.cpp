// SPDX-License-Identifier: Apache-2.0
#include "serve_archive.hpp"

#include <fmt/format.h>

#include "serve_options.hpp"
#include "telemetry/log.hpp"

namespace trialwire {

Result<std::unique_ptr<ArchiveService>> ArchiveService::make(const config::Settings& settings,
                                                             const DataDirectory& directory,
                                                             journal::Journal& journal,
                                                             journal::FileLayer& files,
                                                             telemetry::Registry& metrics) {
  const std::string url = archive_url(settings, directory.path());
  if (url.empty()) {
    telemetry::log(telemetry::LogLevel::warn, "archive",
                   "archive.url is empty: segments are deleted for good once the sinks have them");
    return nullptr;
  }
  auto store = storage::open_object_store(url);
  if (!store) return std::unexpected(store.error());
  return std::unique_ptr<ArchiveService>(
      new ArchiveService(settings, directory, std::move(*store), journal, files, metrics));
}

ArchiveService::ArchiveService(const config::Settings& settings, const DataDirectory& directory,
                               std::unique_ptr<storage::ObjectStore> store,
                               journal::Journal& journal, journal::FileLayer& files,
                               telemetry::Registry& metrics)
    : store_(std::move(store)),
      archived_journal_(journal, *store_),
      archiver_(archiver_options(settings), archive::source_of(journal, directory.journal()),
                *store_, files, metrics) {}

ReadinessCheck ArchiveService::readiness() const {
  const archive::ArchiverState state = archiver_.state();
  ReadinessCheck check{"archive", state.error.empty(), false, state.error};
  if (check.ok) check.detail = fmt::format("{} segments waiting", state.segments_waiting);
  return check;
}

}  // namespace trialwire
