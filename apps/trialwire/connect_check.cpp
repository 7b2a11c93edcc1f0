// SPDX-License-Identifier: Apache-2.0
#include "connect_check.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kafka_options.hpp"
#include "serve_options.hpp"
#include "storage/kafka/cluster.hpp"
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

}  // namespace

std::vector<ConnectFinding> connect_check(const config::Settings& settings) {
  std::vector<ConnectFinding> findings;
  if (has_role(settings, config::Role::processor) || has_role(settings, config::Role::api)) {
    findings.push_back(check_store(settings));
  }
  if (!settings.kafka.brokers.empty()) findings.push_back(check_kafka(settings.kafka));
  return findings;
}

}  // namespace trialwire
