// SPDX-License-Identifier: Apache-2.0
// A connection to Kafka as librdkafka makes it: which brokers, how they are trusted, as whom. What
// the library logs goes to this program's log, module "kafka"; it never holds a message.
#pragma once
#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace trialwire::storage::kafka {

/// Names as librdkafka and the settings have them. Files are PEM.
struct SecurityOptions {
  std::string protocol = "plaintext";  // plaintext, ssl, sasl_plaintext, sasl_ssl
  std::string ca;                      // empty: the system's
  std::string cert;                    // of this client; empty: none
  std::string key;
  std::string mechanism = "PLAIN";  // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
  std::string username;
  std::string
      password_file;  // read whenever a connection is set up; its end of line does not count
};

struct ClientOptions {
  std::vector<std::string> brokers;  // host:port
  std::string client_id = "trialwire";
  SecurityOptions security;
  /// Properties of librdkafka that win over everything else: for tests.
  std::vector<std::pair<std::string, std::string>> properties;
};

struct DestroyConfig {
  void operator()(rd_kafka_conf_t* config) const noexcept { rd_kafka_conf_destroy(config); }
};
struct DestroyHandle {
  void operator()(rd_kafka_t* handle) const noexcept { rd_kafka_destroy(handle); }
};
using Config = std::unique_ptr<rd_kafka_conf_t, DestroyConfig>;
using Handle = std::unique_ptr<rd_kafka_t, DestroyHandle>;

using Properties = std::vector<std::pair<std::string_view, std::string>>;

/// What every client has, then `own`, then the options' properties. Errors: io (a file that cannot
/// be read), internal (a property that librdkafka refuses; its name is in the text, never a value).
Result<Config> make_config(const ClientOptions& options, const Properties& own);

/// Takes the configuration. Errors: internal, unauthenticated (certificates, credentials).
Result<Handle> make_handle(rd_kafka_type_t type, Config config);

}  // namespace trialwire::storage::kafka
