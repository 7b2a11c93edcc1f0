// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/cluster.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "storage/kafka/client_events.hpp"
#include "storage/kafka/errors.hpp"

namespace trialwire::storage::kafka {
namespace {

struct DestroyMetadata {
  void operator()(const rd_kafka_metadata_t* metadata) const noexcept {
    rd_kafka_metadata_destroy(metadata);
  }
};
using Metadata = std::unique_ptr<const rd_kafka_metadata_t, DestroyMetadata>;

constexpr std::chrono::milliseconds slice{200};  // between two looks at what the library says

/// What the library said while it tried: why the first broker did not answer.
class Reason final : public ClientEvents {
 public:
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::string text;
  bool hopeless = false;  // no broker is left to wait for, or each would say the same

 private:
  void on_trouble(rd_kafka_resp_err_t error, std::string said) noexcept override {
    hopeless = hopeless || error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
               code_of(error) == ErrorCode::unauthenticated;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    code = error;
    text = std::move(said);
  }
};

ClusterState state_of(const rd_kafka_metadata_t& metadata, const std::vector<std::string>& topics) {
  ClusterState state{.brokers = static_cast<std::size_t>(metadata.broker_cnt), .missing = {}};
  const std::span found(metadata.topics, static_cast<std::size_t>(metadata.topic_cnt));
  for (const std::string& topic : topics) {
    bool there = std::ranges::any_of(found, [&topic](const rd_kafka_metadata_topic_t& each) {
      return topic == each.topic && each.err == RD_KAFKA_RESP_ERR_NO_ERROR;
    });
    if (!there) state.missing.push_back(topic);
  }
  return state;
}

}  // namespace

Result<ClusterState> ask_cluster(const ClientOptions& options,
                                 const std::vector<std::string>& topics,
                                 std::chrono::milliseconds wait) {
  auto config = make_config(options, {});
  if (!config) return std::unexpected(config.error());
  Reason reason;
  reason.listen(config->get());
  auto handle = make_handle(RD_KAFKA_PRODUCER, std::move(*config));
  if (!handle) return std::unexpected(handle.error());
  constexpr int every_topic = 1;
  const auto end = std::chrono::steady_clock::now() + wait;
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  do {
    const rd_kafka_metadata_t* answer = nullptr;
    error = rd_kafka_metadata(handle->get(), every_topic, nullptr, &answer,
                              static_cast<int>(std::min(slice, wait).count()));
    const Metadata metadata(answer);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return state_of(*metadata, topics);
    rd_kafka_poll(handle->get(), 0);  // reason is told here only
  } while (!reason.hopeless && std::chrono::steady_clock::now() < end);
  if (reason.code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    return std::unexpected(error_of(error, "brokers do not answer"));
  }
  return fail(code_of(reason.code), std::move(reason.text));
}

}  // namespace trialwire::storage::kafka
