// SPDX-License-Identifier: Apache-2.0
#include "connect_check.hpp"

#include <fmt/format.h>

#include "serve_options.hpp"
#include "storage/sql/store.hpp"

namespace trialwire {
namespace {

ConnectFinding found(const storage::Store& store, const storage::StoreStatus& status) {
  std::string detail = fmt::format("schema {} of {}", status.version_applied, status.version_known);
  if (status.version_applied < status.version_known) detail += ", serve migrates it";
  bool newer = status.version_applied > status.version_known;
  if (newer) detail += ": newer than this program";
  return {store.where(), !newer, std::move(detail)};
}

ConnectFinding check_store(const config::Settings& settings) {
  auto options = store_options(settings, settings.data_dir);
  auto store = storage::open_store(options);
  if (!store) return {"store.url", false, store.error().text};
  auto session = (*store)->connect(storage::Access::read);
  if (!session && session.error().code == ErrorCode::not_found && (*store)->made_when_missing()) {
    return {(*store)->where(), true, "is not there yet, serve makes it"};
  }
  if (!session) return {(*store)->where(), false, session.error().text};
  auto status = storage::store_status(**session);
  if (!status) return {(*store)->where(), false, status.error().text};
  return found(**store, *status);
}

}  // namespace

std::vector<ConnectFinding> connect_check(const config::Settings& settings) {
  std::vector<ConnectFinding> findings;
  findings.push_back(check_store(settings));
  return findings;
}

}  // namespace trialwire
