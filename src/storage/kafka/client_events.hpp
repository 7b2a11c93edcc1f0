// SPDX-License-Identifier: Apache-2.0
// What a client of Kafka says while it works: of brokers, names, credentials, certificates. Of a
// certificate the library's own text is the same whatever is wrong with it; why it was refused is
// noted when it is looked at, on the library's threads, and told in its place.
#pragma once
#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace trialwire::storage::kafka {

class ClientEvents {
 public:
  ClientEvents(const ClientEvents&) = delete;
  ClientEvents& operator=(const ClientEvents&) = delete;

  /// The configuration's opaque is this object afterwards; it outlives the client.
  void listen(rd_kafka_conf_t* config);
  static ClientEvents& of(void* opaque) noexcept { return *static_cast<ClientEvents*>(opaque); }

 protected:
  ClientEvents() = default;
  ~ClientEvents() = default;

 private:
  /// On the thread that polls the client. The text names broker and reason, never a secret.
  virtual void on_trouble(rd_kafka_resp_err_t error, std::string text) noexcept = 0;

  static void on_error(rd_kafka_t* handle, int code, const char* reason, void* self);
  static int on_certificate(rd_kafka_t* handle, const char* broker, std::int32_t broker_id,
                            int* x509_error, int depth, const char* der, std::size_t der_bytes,
                            char* text, std::size_t text_bytes, void* self);
  std::string take_refusal(std::string_view text);

  std::mutex mutex_;
  std::map<std::string, std::string> refusals_;  // by broker: host:port
};

}  // namespace trialwire::storage::kafka
