// SPDX-License-Identifier: Apache-2.0
// librdkafka's mock cluster, brokers of this process on ports of their own, and what is in its
// topics. For failures that a real broker cannot be made to show.
#pragma once
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "storage/kafka/client.hpp"

namespace trialwire::support {

using storage::kafka::Handle;
using storage::kafka::make_config;
using storage::kafka::make_handle;

// Numbers of the protocol's requests.
constexpr std::int16_t produce_request = 0, metadata_request = 3, init_producer_request = 22;

struct Consumed {
  std::string key;
  std::string value;
  std::map<std::string, std::string> headers;
};

class MockCluster {
 public:
  explicit MockCluster(int brokers = 1) {
    handle_ = *make_handle(RD_KAFKA_PRODUCER, *make_config({}, {}));
    cluster_ = rd_kafka_mock_cluster_new(handle_.get(), brokers);
  }
  ~MockCluster() { rd_kafka_mock_cluster_destroy(cluster_); }
  MockCluster(const MockCluster&) = delete;
  MockCluster& operator=(const MockCluster&) = delete;

  std::string brokers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  rd_kafka_mock_cluster_t* operator*() { return cluster_; }
  void make_topic(const std::string& name, int partitions, int replicas = 1) {
    rd_kafka_mock_topic_create(cluster_, name.c_str(), partitions, replicas);
  }
  void set_down(bool down) {
    down ? rd_kafka_mock_broker_set_down(cluster_, -1) : rd_kafka_mock_broker_set_up(cluster_, -1);
  }
  /// The next requests of that kind are answered so.
  void answer(std::int16_t request, std::initializer_list<rd_kafka_resp_err_t> errors) {
    rd_kafka_mock_push_request_errors_array(cluster_, request, errors.size(), errors.begin());
  }

  /// Everything in the topic, partition by partition, each in its order.
  std::vector<Consumed> read(const std::string& topic, int partitions = 1) {
    Handle consumer =
        *make_handle(RD_KAFKA_CONSUMER,
                     *make_config({.brokers = {brokers()}}, {{"group.id", "test"},
                                                             {"enable.partition.eof", "true"},
                                                             {"enable.auto.commit", "false"}}));
    std::vector<Consumed> all;
    for (int partition = 0; partition < partitions; ++partition) {
      rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
      rd_kafka_topic_partition_list_add(list, topic.c_str(), partition)->offset =
          RD_KAFKA_OFFSET_BEGINNING;
      rd_kafka_assign(consumer.get(), list);
      rd_kafka_topic_partition_list_destroy(list);
      while (read_one(consumer.get(), all)) {
      }
    }
    rd_kafka_consumer_close(consumer.get());
    return all;
  }

 private:
  static bool read_one(rd_kafka_t* consumer, std::vector<Consumed>& into) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, 20'000);
    TW_CHECK(message != nullptr);
    const bool data = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    const bool end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (data) {
      Consumed& got = into.emplace_back();
      got.key.assign(static_cast<const char*>(message->key), message->key_len);
      got.value.assign(static_cast<const char*>(message->payload), message->len);
      rd_kafka_headers_t* headers = nullptr;
      rd_kafka_message_headers(message, &headers);
      const char* name = nullptr;
      const void* value = nullptr;
      std::size_t size = 0;
      for (std::size_t i = 0;
           headers != nullptr && rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0;
           ++i) {
        got.headers[name].assign(static_cast<const char*>(value), size);
      }
    }
    rd_kafka_message_destroy(message);
    return !end;
  }

  Handle handle_;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

}  // namespace trialwire::support
