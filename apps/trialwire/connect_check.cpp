// SPDX-License-Identifier: Apache-2.0
#include "connect_check.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "auth/jwks.hpp"
#include "discovery/etcd_client.hpp"
#include "kafka_options.hpp"
#include "serve_discovery.hpp"
#include "serve_jwks.hpp"
#include "serve_options.hpp"
#include "storage/kafka/cluster.hpp"
#include "storage/objects/object_store.hpp"
#include "storage/sql/store.hpp"

namespace trialwire {
namespace {

/// Who makes and migrates a database, where this process does not: it queries it only.
constexpr std::string_view others_make_it =
    "a process with the role processor makes it, or `trialwire db migrate`";

ConnectFinding found(const storage::Store& store, const storage::StoreStatus& status, bool makes) {
  std::string detail = fmt::format("schema {} of {}", status.version_applied, status.version_known);
  bool older = status.version_applied < status.version_known;
  bool newer = status.version_applied > status.version_known;
  if (older) detail += makes ? ", serve migrates it" : fmt::format(": {}", others_make_it);
  if (newer) detail += ": newer than this program";
  return {store.where(), !newer && (!older || makes), std::move(detail)};
}

ConnectFinding check_store(const config::Settings& settings) {
  auto options = store_options(settings, settings.data_dir);
  const bool makes = has_role(settings, config::Role::processor);
  auto store = storage::open_store(options);
  if (!store) return {"store.url", false, store.error().text};
  if (makes) {
    auto writable = (*store)->check_writable();
    if (!writable) return {(*store)->where(), false, writable.error().text};
  }
  auto session = (*store)->connect(storage::Access::read);
  if (!session && session.error().code == ErrorCode::not_found && (*store)->made_when_missing()) {
    return {(*store)->where(), makes,
            makes ? "is not there yet, serve makes it"
                  : fmt::format("is not there yet: {}", others_make_it)};
  }
  if (!session) return {(*store)->where(), false, session.error().text};
  auto status = storage::store_status(**session);
  if (!status) return {(*store)->where(), false, status.error().text};
  return found(**store, *status, makes);
}

ConnectFinding check_archive(const std::string& url) {
  auto archive = storage::open_object_store(url);
  if (!archive) return {"archive.url", false, archive.error().text};
  std::string where = fmt::format("archive {}", (*archive)->url());
  auto there = (*archive)->check();
  if (!there) return {std::move(where), false, there.error().text};
  return {std::move(where), true, *there ? "can be written" : "is not there yet, serve makes it"};
}

ConnectFinding check_kafka(const config::KafkaSettings& settings) {
  constexpr std::chrono::seconds wait{5};
  std::string where = fmt::format("kafka {}", fmt::join(settings.brokers, ","));
  std::vector<std::string> topics;
  for (auto& topic : kafka_topics(settings)) topics.push_back(std::move(topic.topic));
  auto state = storage::kafka::ask_cluster(kafka_client_options(settings), topics, wait);
  if (!state) return {std::move(where), false, state.error().text};
  std::string detail = fmt::format("{} broker{}", state->brokers, state->brokers == 1 ? "" : "s");
  if (!state->missing.empty()) {
    detail += fmt::format(
        "; no topic {}: {}", fmt::join(state->missing, ", "),
        settings.create_topics ? "serve makes them" : "the brokers make them, or an operator does");
  }
  return {std::move(where), true, std::move(detail)};
}

ConnectFinding check_jwks(const config::Settings& settings) {
  auto fetched = fetch_jwks(settings);
  if (!fetched) return {"auth.jwt.jwks_url", false, fetched.error().text};
  auto keys = auth::parse_jwks(*fetched);
  if (!keys) return {"auth.jwt.jwks_url", false, fmt::format("it {}", keys.error().text)};
  return {"auth.jwt.jwks_url", true, fmt::format("{} keys", keys->keys.size())};
}

ConnectFinding check_etcd(const config::Settings& settings) {
  std::string where = fmt::format("etcd {}", fmt::join(settings.discovery.etcd, ","));
  auto made = etcd_target(settings);
  if (!made) return {std::move(where), false, made.error().text};
  EtcdConnection connection(std::move(*made));
  discovery::EtcdClient client(connection.etcd, connection.target, {});
  std::size_t servers = 0;
  for (const std::string& name : discovery_names(settings.discovery.keys)) {
    auto found = client.get_prefix(name + "/");
    if (!found) return {std::move(where), false, found.error().text};
    servers += found->items.size();
  }
  return {std::move(where), true, fmt::format("{} registrations of these names", servers)};
}

}  // namespace

std::vector<ConnectFinding> connect_check(const config::Settings& settings) {
  std::vector<ConnectFinding> findings;
  if (has_role(settings, config::Role::processor) || has_role(settings, config::Role::api)) {
    findings.push_back(check_store(settings));
  }
  const std::string archive = archive_url(settings, settings.data_dir);
  if (has_role(settings, config::Role::gateway) && !archive.empty()) {
    findings.push_back(check_archive(archive));
  }
  if (!settings.kafka.brokers.empty()) findings.push_back(check_kafka(settings.kafka));
  if (!settings.auth.jwt.jwks_url.empty()) findings.push_back(check_jwks(settings));
  if (!settings.discovery.etcd.empty()) findings.push_back(check_etcd(settings));
  return findings;
}

}  // namespace trialwire
