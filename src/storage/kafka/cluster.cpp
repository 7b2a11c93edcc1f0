// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/cluster.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "storage/kafka/errors.hpp"

namespace trialwire::storage::kafka {
namespace {

using Said = std::optional<Error>;

/// That all are down follows from what is wrong with each of them, which says more.
void remember(rd_kafka_t*, int code, const char* reason, void* said) {
  auto error = static_cast<rd_kafka_resp_err_t>(code);
  auto& last = *static_cast<Said*>(said);
  if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && last) return;
  last = Error{code_of(error), fmt::format("{} ({})", reason, rd_kafka_err2name(error))};
}

struct DestroyMetadata {
  void operator()(const rd_kafka_metadata_t* metadata) const noexcept {
    rd_kafka_metadata_destroy(metadata);
  }
};

}  // namespace

Result<ClusterState> ask_cluster(const ClientOptions& options,
                                 const std::vector<std::string>& topics,
                                 std::chrono::milliseconds wait) {
  Said said;
  auto config = make_config(options, {});
  if (!config) return std::unexpected(config.error());
  rd_kafka_conf_set_error_cb(config->get(), remember);
  rd_kafka_conf_set_opaque(config->get(), &said);
  auto handle = make_handle(RD_KAFKA_PRODUCER, std::move(*config));
  if (!handle) return std::unexpected(handle.error());
  const rd_kafka_metadata_t* got = nullptr;
  rd_kafka_resp_err_t error =
      rd_kafka_metadata(handle->get(), 1, nullptr, &got, static_cast<int>(wait.count()));
  std::unique_ptr<const rd_kafka_metadata_t, DestroyMetadata> metadata(got);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_poll(handle->get(), 0);
    if (said) return std::unexpected(*said);
    return std::unexpected(error_of(error, "asking for the cluster's topics"));
  }
  ClusterState state{.brokers = static_cast<std::size_t>(metadata->broker_cnt)};
  for (const std::string& topic : topics) {
    const rd_kafka_metadata_topic_t* begin = metadata->topics;
    const rd_kafka_metadata_topic_t* end = begin + metadata->topic_cnt;
    const bool there = std::any_of(begin, end, [&](const rd_kafka_metadata_topic_t& one) {
      return topic == one.topic && one.err == RD_KAFKA_RESP_ERR_NO_ERROR;
    });
    if (!there) state.missing.push_back(topic);
  }
  return state;
}

}  // namespace trialwire::storage::kafka
