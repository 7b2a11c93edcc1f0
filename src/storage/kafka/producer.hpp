// SPDX-License-Identifier: Apache-2.0
// An idempotent producer: what it takes is written to Kafka in order, once, and acknowledged by all
// in-sync replicas, however long that takes; librdkafka repeats it by itself until then.
//
// Used by one thread, which alone hears of deliveries: inside `serve`. Its queue is bounded in
// messages and bytes. When one message fails for good, none that followed it in its partition is
// written (gapless): the producer has failed then and is to be replaced by a new one; so the order
// of a key is kept whatever happens.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "storage/kafka/client.hpp"
#include "storage/kafka/client_events.hpp"
#include "storage/kafka/message.hpp"

namespace trialwire::storage::kafka {

struct ProducerOptions {
  ClientOptions client;
  std::string compression = "lz4";          // none, gzip, snappy, lz4, zstd
  std::chrono::milliseconds linger{5};      // a request waits so long to fill
  std::size_t message_bytes_max = 1 << 20;  // key, value and headers as they are sent
  std::size_t batch_bytes = 1'000'000;      // of one partition in one request
  std::size_t queue_messages = 100'000;
  std::size_t queue_bytes = 64 << 20;
};

/// Told on the producer's thread, inside `serve`, once a message.
class Reports {
 public:
  /// RD_KAFKA_RESP_ERR_NO_ERROR: every in-sync replica has it.
  virtual void reported(std::uint64_t ticket, rd_kafka_resp_err_t error) noexcept = 0;

 protected:
  ~Reports() = default;
};

class Producer final : private ClientEvents {
 public:
  /// Connects in the background: that no broker answers is no error here. `reports` outlives it.
  static Result<std::unique_ptr<Producer>> open(const ProducerOptions& options,
                                                std::vector<std::string> topics, Reports& reports);
  /// What was not reported until now will not be.
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  /// Copies the message; the outcome is reported under its ticket, which is not 0. _QUEUE_FULL: not
  /// taken, `serve` makes room; other errors: not taken either.
  rd_kafka_resp_err_t produce(const Message& message, std::uint64_t ticket);

  /// Reports what is known, without waiting.
  void serve();
  /// Sends what waits without lingering and reports what becomes known, until nothing is
  /// outstanding or the time is over.
  void flush(std::chrono::milliseconds wait);

  /// Why nothing can be written any more; this producer is to be replaced.
  std::optional<Error> failure() const;
  /// What the client last said of brokers, names or credentials since a message was written.
  const std::optional<Error>& trouble() const noexcept { return trouble_; }

  rd_kafka_t* handle() noexcept { return handle_.get(); }

 private:
  struct DestroyTopic {
    void operator()(rd_kafka_topic_t* topic) const noexcept { rd_kafka_topic_destroy(topic); }
  };
  explicit Producer(Reports& reports) : reports_(reports) {}
  static void on_report(rd_kafka_t* handle, const rd_kafka_message_t* message, void* self);
  void on_trouble(rd_kafka_resp_err_t error, std::string text) noexcept override;

  Reports& reports_;
  std::optional<Error> trouble_;
  Handle handle_;
  std::vector<std::unique_ptr<rd_kafka_topic_t, DestroyTopic>> topics_;  // before the handle goes
};

}  // namespace trialwire::storage::kafka
