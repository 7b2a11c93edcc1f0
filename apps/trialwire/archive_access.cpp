// SPDX-License-Identifier: Apache-2.0
#include "archive_access.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "archive/archive.hpp"
#include "serve_options.hpp"

namespace trialwire {

std::filesystem::path journal_directory(const config::Settings& settings) {
  return std::filesystem::path(settings.data_dir) / "journal";
}

Result<std::unique_ptr<storage::ObjectStore>> open_archive(const config::Settings& settings) {
  const std::string url = archive_url(settings, settings.data_dir);
  if (url.empty()) return fail(ErrorCode::invalid_argument, "archive.url is empty: no archive");
  return storage::open_object_store(url);
}

Result<Uuid> choose_journal(storage::ObjectStore& store, const config::Settings& settings,
                            const std::string& given) {
  const auto there = archive::journals_in(store);
  if (!there) return std::unexpected(there.error());
  std::string names;
  for (const Uuid& each : *there) names += (names.empty() ? "" : ", ") + each.text();
  if (names.empty()) names = "none";
  const auto is_there = [&](const Uuid& id) {
    return std::ranges::find(*there, id) != there->end();
  };
  if (!given.empty()) {
    const auto id = Uuid::parse(given);
    if (!id) return fail(ErrorCode::invalid_argument, "--journal is not a UUID");
    if (is_there(*id)) return *id;
    return fail(ErrorCode::not_found, fmt::format("{} has nothing of journal {}; of these: {}",
                                                  store.url(), id->text(), names));
  }
  const auto meta = journal::read_meta(journal::posix_files(), journal_directory(settings));
  if (meta && is_there(meta->id)) return meta->id;
  if (there->size() == 1) return there->front();
  if (there->empty()) {
    return fail(ErrorCode::not_found, fmt::format("{} has nothing of any journal", store.url()));
  }
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("{} has several journals: name one with --journal: {}", store.url(), names));
}

}  // namespace trialwire
