// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/client.hpp"

#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <tuple>

#include <fmt/format.h>

#include "telemetry/log.hpp"

namespace trialwire::storage::kafka {
namespace {

using telemetry::LogLevel;

constexpr std::size_t error_text_bytes = 512;

/// Levels are syslog's.
LogLevel level_of(int level) noexcept {
  if (level <= 3) return LogLevel::warn;  // the lane says what of it is an error
  if (level <= 5) return LogLevel::info;
  return LogLevel::debug;
}

void log_line(const rd_kafka_t*, int level, const char* facility, const char* text) {
  // What it thinks of its configuration is for the tests of this program, not for its operators.
  const bool about_configuration = std::string_view(facility) == "CONFWARN";
  telemetry::log(about_configuration ? LogLevel::debug : level_of(level), "kafka", text,
                 {{"facility", std::string_view(facility)}});
}

Error cannot_read(std::string_view setting, const std::string& path) {
  const int error = errno == 0 ? EIO : errno;
  return errno_error(fmt::format("kafka.security.{} {} cannot be read", setting, path), error);
}

Result<std::string> read_secret(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.is_open() || file.bad()) return std::unexpected(cannot_read("password_file", path));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

/// Of a file that is missing the library names neither the setting nor the path.
Result<void> add_file(Properties& properties, std::string_view property, std::string_view setting,
                      const std::string& path) {
  if (path.empty()) return {};
  errno = 0;
  if (!std::ifstream(path).is_open()) return std::unexpected(cannot_read(setting, path));
  properties.emplace_back(property, path);
  return {};
}

Result<void> add_tls(Properties& properties, const SecurityOptions& security) {
  for (const auto& [property, setting, path] :
       {std::tuple("ssl.ca.location", "ca", &security.ca),
        std::tuple("ssl.certificate.location", "cert", &security.cert),
        std::tuple("ssl.key.location", "key", &security.key)}) {
    if (auto added = add_file(properties, property, setting, *path); !added) return added;
  }
  return {};
}

Result<void> set(rd_kafka_conf_t* config, std::string_view name, const std::string& value) {
  std::array<char, error_text_bytes> text{};
  const std::string key(name);
  if (rd_kafka_conf_set(config, key.c_str(), value.c_str(), text.data(), text.size()) ==
      RD_KAFKA_CONF_OK) {
    return {};
  }
  // The library's text repeats the value, which may be a secret.
  return fail(ErrorCode::internal, fmt::format("Kafka's client refuses the value of {}", name));
}

Result<void> set_security(rd_kafka_conf_t* config, const SecurityOptions& security) {
  Properties properties{{"security.protocol", security.protocol}};
  const bool tls = security.protocol.ends_with("ssl");
  const bool sasl = security.protocol.starts_with("sasl");
  if (tls) {
    if (auto added = add_tls(properties, security); !added) return added;
  }
  if (sasl) {
    properties.emplace_back("sasl.mechanism", security.mechanism);
    properties.emplace_back("sasl.username", security.username);
    auto password = read_secret(security.password_file);
    if (!password) return std::unexpected(password.error());
    properties.emplace_back("sasl.password", std::move(*password));
  }
  for (const auto& [name, value] : properties) {
    if (auto done = set(config, name, value); !done) return done;
  }
  return {};
}

}  // namespace

Result<Config> make_config(const ClientOptions& options, const Properties& own) {
  Config config(rd_kafka_conf_new());
  rd_kafka_conf_set_log_cb(config.get(), log_line);
  Properties common{{"client.id", options.client_id},
                    {"log.connection.close", "false"},
                    {"socket.keepalive.enable", "true"},
                    {"reconnect.backoff.max.ms", "2000"}};
  if (!options.brokers.empty()) {
    common.emplace_back("bootstrap.servers", fmt::format("{}", fmt::join(options.brokers, ",")));
  }
  for (const Properties* properties : {static_cast<const Properties*>(&common), &own}) {
    for (const auto& [name, value] : *properties) {
      if (auto done = set(config.get(), name, value); !done) return std::unexpected(done.error());
    }
  }
  if (auto done = set_security(config.get(), options.security); !done) {
    return std::unexpected(done.error());
  }
  for (const auto& [name, value] : options.properties) {
    if (auto done = set(config.get(), name, value); !done) return std::unexpected(done.error());
  }
  return config;
}

Result<Handle> make_handle(rd_kafka_type_t type, Config config) {
  std::array<char, error_text_bytes> text{};
  Handle handle(rd_kafka_new(type, config.get(), text.data(), text.size()));
  if (!handle) {
    return fail(ErrorCode::internal, fmt::format("Kafka's client cannot start: {}", text.data()));
  }
  static_cast<void>(config.release());  // the handle's now
  return handle;
}

}  // namespace trialwire::storage::kafka
