// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/producer.hpp"

#include <array>
#include <bit>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "storage/kafka/errors.hpp"

namespace trialwire::storage::kafka {
namespace {

Properties properties_of(const ProducerOptions& options) {
  return {
      {"enable.idempotence", "true"},
      {"enable.gapless.guarantee", "true"},
      {"acks", "all"},
      {"delivery.timeout.ms", "0"},       // for ever
      {"partitioner", "murmur2_random"},  // the one of Java's clients: keys meet theirs
      {"compression.codec", options.compression},
      {"linger.ms", fmt::format("{}", options.linger.count())},
      {"message.max.bytes", fmt::format("{}", options.message_bytes_max)},
      {"batch.size", fmt::format("{}", options.batch_bytes)},
      {"batch.num.messages", "100000"},
      {"queue.buffering.max.messages", fmt::format("{}", options.queue_messages)},
      {"queue.buffering.max.kbytes", fmt::format("{}", options.queue_bytes / 1024)},
      {"retry.backoff.ms", "100"},
      // A topic that is missing is said to be missing after so long.
      {"topic.metadata.propagation.max.ms", "5000"},
      {"topic.metadata.refresh.fast.interval.ms", "250"},
  };
}

/// The library's interface has no const.
void* opaque_of(std::uint64_t ticket) noexcept {
  return std::bit_cast<void*>(static_cast<std::uintptr_t>(ticket));
}

}  // namespace

Result<std::unique_ptr<Producer>> Producer::open(const ProducerOptions& options,
                                                 std::vector<std::string> topics,
                                                 Reports& reports) {
  auto config = make_config(options.client, properties_of(options));
  if (!config) return std::unexpected(config.error());
  std::unique_ptr<Producer> producer(new Producer(reports));
  producer->listen(config->get());
  rd_kafka_conf_set_dr_msg_cb(config->get(), on_report);
  auto handle = make_handle(RD_KAFKA_PRODUCER, std::move(*config));
  if (!handle) return std::unexpected(handle.error());
  producer->handle_ = std::move(*handle);
  for (const std::string& name : topics) {
    rd_kafka_topic_t* topic = rd_kafka_topic_new(producer->handle_.get(), name.c_str(), nullptr);
    if (topic == nullptr) {
      return std::unexpected(error_of(rd_kafka_last_error(), fmt::format("topic {}", name)));
    }
    producer->topics_.emplace_back(topic);
  }
  return producer;
}

Producer::~Producer() {
  if (!handle_) return;
  // Nobody waits for it any more; without this the library would go on sending for a while.
  rd_kafka_purge(handle_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                    RD_KAFKA_PURGE_F_NON_BLOCKING);
  topics_.clear();
}

rd_kafka_resp_err_t Producer::produce(const Message& message, std::uint64_t ticket) {
  TW_CHECK(ticket != 0);
  rd_kafka_headers_t* headers = rd_kafka_headers_new(message.headers.size());
  for (const Header& header : message.headers) {
    rd_kafka_header_add(headers, header.name.data(), static_cast<ssize_t>(header.name.size()),
                        header.value.data(), static_cast<ssize_t>(header.value.size()));
  }
  std::array<rd_kafka_vu_t, 6> parts{};
  parts[0].vtype = RD_KAFKA_VTYPE_RKT;
  parts[0].u.rkt = topics_[message.topic].get();
  parts[1].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[1].u.i = RD_KAFKA_MSG_F_COPY;
  parts[2].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[2].u.mem.ptr = const_cast<char*>(message.value.data());
  parts[2].u.mem.size = message.value.size();
  parts[3].vtype = RD_KAFKA_VTYPE_KEY;  // null: any partition
  parts[3].u.mem.ptr = message.key.empty() ? nullptr : const_cast<char*>(message.key.data());
  parts[3].u.mem.size = message.key.size();
  parts[4].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[4].u.headers = headers;
  parts[5].vtype = RD_KAFKA_VTYPE_OPAQUE;
  parts[5].u.ptr = opaque_of(ticket);
  rd_kafka_error_t* error = rd_kafka_produceva(handle_.get(), parts.data(), parts.size());
  if (error == nullptr) return RD_KAFKA_RESP_ERR_NO_ERROR;
  rd_kafka_resp_err_t code = rd_kafka_error_code(error);
  rd_kafka_error_destroy(error);
  rd_kafka_headers_destroy(headers);  // ours again: the message was not taken
  return code;
}

void Producer::serve() {
  rd_kafka_poll(handle_.get(), 0);
}

void Producer::flush(std::chrono::milliseconds wait) {
  rd_kafka_flush(handle_.get(), static_cast<int>(wait.count()));
}

std::optional<Error> Producer::failure() const {
  std::array<char, 512> text{};
  rd_kafka_resp_err_t code = rd_kafka_fatal_error(handle_.get(), text.data(), text.size());
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
  return Error{ErrorCode::internal, fmt::format("the producer has failed and is made anew: {} ({})",
                                                text.data(), rd_kafka_err2name(code))};
}

void Producer::on_report(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
  auto* producer = static_cast<Producer*>(&of(self));
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) producer->trouble_.reset();
  producer->reports_.reported(
      static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(message->_private)),
      message->err);
}

void Producer::on_trouble(rd_kafka_resp_err_t error, std::string text) noexcept {
  // That all brokers are down follows from what is wrong with each of them, which says more.
  if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && trouble_) return;
  trouble_ = Error{code_of(error), fmt::format("{} ({})", text, rd_kafka_err2name(error))};
}

}  // namespace trialwire::storage::kafka
