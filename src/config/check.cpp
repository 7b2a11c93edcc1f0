// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/url.hpp"
#include "config/address.hpp"
#include "config/loader.hpp"
#include "config/value.hpp"

namespace trialwire::config {
namespace {

void check_listen(const Settings& settings, std::string_view path, const std::string& listen,
                  std::vector<Problem>& problems) {
  auto address = parse_listen_address(listen);
  if (!address || address->loopback || settings.allow_insecure) return;
  const bool http = path == "http.listen";
  const bool tokens = http && settings.auth.mode == AuthMode::jwt;
  const bool tls = http && !settings.http.tls.cert.empty();
  if (tokens && tls) return;
  std::string_view lacks = "there is neither TLS nor authentication";
  if (!http && !settings.admin.token_file.empty()) {
    lacks = "there is no TLS: the token could be read on the way";
  }
  if (tokens) lacks = "there is no TLS: tokens could be read on the way";
  if (tls) lacks = "there is no authentication: anybody could read and write";
  problems.push_back(
      {"", std::string(path),
       fmt::format(
           "{} is not a loopback address, and {}; set allow_insecure: true if that is meant",
           listen, lacks)});
}

/// One socket cannot serve both; "any" address of a port holds each address of it.
void check_apart(const Settings& settings, std::vector<Problem>& problems) {
  auto http = parse_listen_address(settings.http.listen);
  auto admin = parse_listen_address(settings.admin.listen);
  if (!http || !admin || http->port == 0 || http->port != admin->port) return;
  auto is_any = [](const std::string& host) { return host == "0.0.0.0" || host == "::"; };
  if (http->host != admin->host && !is_any(http->host) && !is_any(admin->host)) return;
  problems.push_back({"", "admin.listen",
                      fmt::format("{} is taken by http.listen ({}): give it another port",
                                  settings.admin.listen, settings.http.listen)});
}

void check_roles(const Settings& settings, std::vector<Problem>& problems) {
  auto has = [&](Role role) {
    return std::ranges::find(settings.roles, role) != settings.roles.end();
  };
  const bool gateway = has(Role::gateway), processor = has(Role::processor);
  if (gateway == processor) return;
  const KafkaSettings& kafka = settings.kafka;
  if (kafka.brokers.empty()) {
    problems.push_back({"", "kafka.brokers",
                        gateway ? "must be set: a gateway without processor sends its records there"
                                : "must be set: a processor without gateway reads records there"});
  }
  if (processor && settings.store.url.starts_with("sqlite:") && !settings.allow_unsafe) {
    problems.push_back(
        {"", "store.url",
         "is a file of this machine, and all processors of a group must store in one "
         "database: postgres:// or mysql://; set allow_unsafe: true if all of them "
         "are here and have the same file"});
  }
  if (gateway && kafka.value != KafkaValue::original) {
    problems.push_back({"", "kafka.value",
                        "must be original: processors need what the sender sent, and there is none "
                        "in this process"});
  }
}

void check_sizes(const Settings& settings, std::vector<Problem>& problems) {
  const auto& journal = settings.journal;
  const auto& limits = settings.limits;
  auto size = [](std::uint64_t bytes) { return format_value(Kind::bytes, bytes); };
  auto wrong = [&](bool is_wrong, std::string_view path, std::string reason) {
    if (is_wrong) problems.push_back({"", std::string(path), std::move(reason)});
  };
  wrong(journal.segment_bytes % 4096 != 0, "journal.segment_bytes", "must be a multiple of 4KiB");
  wrong(journal.segment_bytes < 2 * limits.inflated_body, "journal.segment_bytes",
        fmt::format("must be at least twice limits.inflated_body ({}): a request's records are "
                    "never split over segments",
                    size(limits.inflated_body)));
  wrong(journal.segment_bytes < 2 * journal.batch_bytes, "journal.segment_bytes",
        fmt::format("must be at least twice journal.batch_bytes ({})", size(journal.batch_bytes)));
  wrong(journal.max_bytes / 4 < journal.segment_bytes, "journal.max_bytes",
        fmt::format("must be at least four times journal.segment_bytes ({})",
                    size(journal.segment_bytes)));
  wrong(journal.undelivered_low > journal.undelivered_high, "journal.undelivered_low",
        "must not be over journal.undelivered_high");
  wrong(limits.inflated_body < limits.body, "limits.inflated_body",
        fmt::format("must be at least limits.body ({})", size(limits.body)));
  wrong(limits.unacknowledged_total < limits.unacknowledged_connection,
        "limits.unacknowledged_total",
        fmt::format("must be at least limits.unacknowledged_connection ({})",
                    size(limits.unacknowledged_connection)));
  wrong(
      settings.pipeline.batch_records_lagging < settings.pipeline.batch_records,
      "pipeline.batch_records_lagging",
      fmt::format("must be at least pipeline.batch_records ({})", settings.pipeline.batch_records));
}

/// The URL itself is not repeated: it may hold a password.
void check_store(std::string_view text, std::vector<Problem>& problems) {
  auto wrong = [&](std::string reason) {
    problems.push_back({"", "store.url", std::move(reason)});
  };
  constexpr std::string_view sqlite = "sqlite:";
  if (text.starts_with(sqlite) && text.size() > sqlite.size()) return;
  auto url = parse_url(text);
  if (!url) {
    wrong(
        fmt::format("must be sqlite:PATH, postgres://USER:PASSWORD@HOST:PORT/DATABASE or "
                    "mysql://…; it {}",
                    text.starts_with(sqlite) ? "names no file" : url.error()));
  } else if (url->scheme != "postgres" && url->scheme != "mysql") {
    wrong("must begin with sqlite:, postgres:// or mysql://");
  } else if (url->path.empty() || url->path.find('/') != std::string::npos) {
    wrong("must name one database after the host: …@HOST:PORT/DATABASE");
  }
}

/// HOST or HOST:PORT, as librdkafka takes it; an IPv6 address with a port in brackets.
bool is_broker(std::string_view text) {
  std::string_view host = text, port = "9092";
  const std::size_t colon = text.rfind(':');
  if (colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (host.empty() || (!bracketed && host.find(':') != std::string_view::npos)) return false;
  const bool plain = std::ranges::all_of(
      host, [](char c) { return c > ' ' && c != '/' && c != ',' && c != '@' && c != '\x7f'; });
  std::uint16_t number = 0;
  auto read = std::from_chars(port.data(), port.data() + port.size(), number);
  return plain && read.ec == std::errc{} && read.ptr == port.data() + port.size() && number > 0;
}

/// What Kafka allows a topic to be called. `more` characters are added to it.
bool is_topic(std::string_view name, std::size_t more = 0) {
  constexpr std::size_t most = 249;
  return !name.empty() && name.size() + more <= most && name != "." && name != ".." &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

void check_kafka_names(const KafkaSettings& kafka, std::vector<Problem>& problems) {
  for (const std::string& broker : kafka.brokers) {
    if (is_broker(broker)) continue;
    problems.push_back({"", "kafka.brokers", fmt::format("{:?} is not HOST:PORT", broker)});
  }
  constexpr std::string_view named = "must be 1 to 249 letters, digits, '.', '_' and '-'";
  constexpr std::string_view longest_kind = ".project_created";
  if (!is_topic(kafka.topic_prefix, longest_kind.size())) {
    problems.push_back({"", "kafka.topic_prefix", std::string(named) + " with a kind behind it"});
  }
  const KafkaTopicSettings& topics = kafka.topics;
  for (const auto& [path, name] :
       {std::pair("epro_report", &topics.epro_report), std::pair("qol_answer", &topics.qol_answer),
        std::pair("vital_sign", &topics.vital_sign),
        std::pair("trial_metric", &topics.trial_metric), std::pair("alert", &topics.alert),
        std::pair("project_created", &topics.project_created)}) {
    if (name->empty() || is_topic(*name)) continue;
    problems.push_back({"", fmt::format("kafka.topics.{}", path), std::string(named)});
  }
}

void check_kafka(const Settings& settings, std::vector<Problem>& problems) {
  const KafkaSettings& kafka = settings.kafka;
  auto wrong = [&](bool is_wrong, std::string_view path, std::string_view reason) {
    if (is_wrong) problems.push_back({"", std::string(path), std::string(reason)});
  };
  wrong(settings.journal.ack == JournalAck::kafka && kafka.brokers.empty(), "journal.ack",
        "kafka wants kafka.brokers: who is to have the records?");
  check_kafka_names(kafka, problems);
  constexpr std::uint64_t least = 16 << 10;
  wrong(
      settings.journal.ack == JournalAck::kafka && kafka.message_bytes < least,
      "kafka.message_bytes",
      fmt::format("must be at least {} with journal.ack: kafka, where records that do not fit are "
                  "refused",
                  format_value(Kind::bytes, least)));
  const KafkaSecuritySettings& security = kafka.security;
  const bool sasl = security.protocol.starts_with("sasl");
  wrong(sasl && security.username.empty(), "kafka.security.username",
        "must be set: kafka.security.protocol wants credentials");
  wrong(sasl && security.password_file.empty(), "kafka.security.password_file",
        "must be set: kafka.security.protocol wants credentials");
  wrong(!sasl && !security.password_file.empty(), "kafka.security.protocol",
        "sends no credentials, but there is a kafka.security.password_file; is sasl_ssl meant?");
  wrong(security.cert.empty() != security.key.empty(), "kafka.security.cert",
        "and kafka.security.key belong together");
}

void check_tls(const TlsSettings& tls, std::vector<Problem>& problems) {
  if (tls.cert.empty() != tls.key.empty()) {
    problems.push_back({"", tls.cert.empty() ? "http.tls.cert" : "http.tls.key",
                        "is missing: http.tls.cert and http.tls.key belong together"});
  }
  if (!tls.client_ca.empty() && tls.cert.empty()) {
    problems.push_back({"", "http.tls.client_ca", "wants http.tls.cert and http.tls.key"});
  }
}

void check_auth(const AuthSettings& auth, std::vector<Problem>& problems) {
  auto wrong = [&](bool is_wrong, std::string_view path, std::string_view reason) {
    if (is_wrong) problems.push_back({"", std::string(path), std::string(reason)});
  };
  const JwtSettings& jwt = auth.jwt;
  const bool keys = !jwt.secret_file.empty() || !jwt.jwks.empty() || !jwt.jwks_url.empty();
  wrong(auth.mode == AuthMode::jwt && !keys, "auth.mode",
        "jwt wants auth.jwt.secret_file or auth.jwt.jwks, or auth.jwt.jwks_url: what are tokens "
        "signed with?");
  // Who sets a key believes that it is asked for.
  wrong(auth.mode == AuthMode::none && keys, "auth.mode",
        "is none, but there is a key for tokens; is jwt meant?");
  wrong(!jwt.previous_secret_file.empty() && jwt.secret_file.empty(),
        "auth.jwt.previous_secret_file", "wants auth.jwt.secret_file beside it");
  wrong(jwt.algorithms.empty(), "auth.jwt.algorithms", "must name at least one");
}

/// "localhost", or an address of this machine's own.
bool is_loopback(const std::string& host) {
  const bool six = host.find(':') != std::string::npos;
  const auto address = parse_listen_address(six ? fmt::format("[{}]:1", host) : host + ":1");
  return host == "localhost" || (address && address->loopback);
}

/// Without repeating it: it may hold a password. `secured`: plain http leaves this machine only
/// where that is allowed.
void check_url(const Settings& settings, std::string_view path, const std::string& text,
               bool secured, std::vector<Problem>& problems) {
  auto wrong = [&](std::string reason) {
    problems.push_back({"", std::string(path), std::move(reason)});
  };
  if (text.empty()) return;
  const auto url = parse_url(text);
  if (!url) return wrong(url.error());
  if (url->scheme != "https" && url->scheme != "http") {
    return wrong("must begin with https:// or http://");
  }
  if (url->host.empty()) return wrong("names no host");
  if (!secured) return;
  if (url->user) wrong("must have neither user nor password in it");
  if (url->scheme == "http" && !is_loopback(url->host) && !settings.allow_insecure) {
    wrong(
        "is not https: who is on the way could put keys of their own in; set allow_insecure: true "
        "if that is meant");
  }
}

bool is_etcd_member(std::string_view text, bool tls) {
  const std::string url = text.find("://") == std::string_view::npos ? "http://" + std::string(text)
                                                                     : std::string(text);
  const auto parsed = parse_url(url);
  return parsed && parsed->scheme == (tls ? "https" : "http") && !parsed->host.empty() &&
         parsed->port != 0 && parsed->path.empty() && !parsed->user && parsed->parameters.empty();
}

bool is_discovery_name(std::string_view name) {
  return name.empty() || (name.find('/') == std::string_view::npos && name.size() <= 255 &&
                          std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7f; }));
}

void check_discovery(const Settings& settings, std::vector<Problem>& problems) {
  const DiscoverySettings& discovery = settings.discovery;
  auto wrong = [&](bool is_wrong, std::string_view path, std::string_view reason) {
    if (is_wrong) problems.push_back({"", std::string(path), std::string(reason)});
  };
  const bool tls = !discovery.etcd.empty() && discovery.etcd.front().starts_with("https://");
  for (const std::string& member : discovery.etcd) {
    wrong(!is_etcd_member(member, tls), "discovery.etcd",
          "must be HOST:PORT each, all with http:// or all with https:// before it");
  }
  const DiscoveryKeySettings& keys = discovery.keys;
  for (const auto& [name, key] : {std::pair("collection", &keys.collection),
                                  std::pair("trial", &keys.trial), std::pair("user", &keys.user),
                                  std::pair("edc", &keys.edc), std::pair("epro", &keys.epro)}) {
    wrong(!is_discovery_name(*key), fmt::format("discovery.keys.{}", name),
          "must be printable characters without spaces and slashes");
  }
  wrong(discovery.cert.empty() != discovery.key.empty(), "discovery.cert",
        "and discovery.key belong together");
  wrong(discovery.username.empty() != discovery.password_file.empty(), "discovery.username",
        "and discovery.password_file belong together");
  if (discovery.etcd.empty()) return;
  auto is_any = [](const std::string& listen) {
    const auto address = parse_listen_address(listen);
    return address && (address->host == "0.0.0.0" || address->host == "::");
  };
  wrong(discovery.advertise.empty() && is_any(settings.http.listen), "discovery.advertise",
        "must be set: http.listen is every address, and others are to be told one");
  wrong(is_any(discovery.advertise), "discovery.advertise", "must be one address, not every one");
  wrong(settings.http.listen.empty(), "discovery.etcd",
        "registers where http.listen is, and that is off");
}

void check_routes(const LimitSettings& limits, std::vector<Problem>& problems) {
  for (const RouteLimitSettings& one : limits.routes) {
    auto wrong = [&](std::string_view limit, std::string_view setting, const std::string& most) {
      problems.push_back({"", "limits.routes",
                          fmt::format("{}: {}: must not be over limits.{} ({})", one.prefix, limit,
                                      setting, most)});
    };
    if (one.deadline > limits.request_deadline) {
      wrong("deadline", "request_deadline", format_value(Kind::duration, limits.request_deadline));
    }
    if (one.body > limits.inflated_body) {
      wrong("body", "inflated_body", format_value(Kind::bytes, limits.inflated_body));
    }
  }
}

void check_breaker(const BreakerSettings& breaker, std::vector<Problem>& problems) {
  if (breaker.floor <= breaker.k) return;
  problems.push_back({"", "breaker.floor", "must not be over breaker.k"});
}

void check_archive(std::string_view url, std::vector<Problem>& problems) {
  constexpr std::string_view file = "file:";
  if (url.empty() || (url.starts_with(file) && url.size() > file.size())) return;
  problems.push_back({"", "archive.url", "must be file:PATH, or empty: no archive"});
}

}  // namespace

std::vector<Problem> check(const Settings& settings) {
  std::vector<Problem> problems;
  check_listen(settings, "http.listen", settings.http.listen, problems);
  check_listen(settings, "admin.listen", settings.admin.listen, problems);
  check_apart(settings, problems);
  check_roles(settings, problems);
  check_sizes(settings, problems);
  check_kafka(settings, problems);
  check_tls(settings.http.tls, problems);
  check_auth(settings.auth, problems);
  check_url(settings, "auth.jwt.jwks_url", settings.auth.jwt.jwks_url, true, problems);
  check_url(settings, "services.proxy", settings.services.proxy, false, problems);
  check_url(settings, "trace.export.url", settings.trace.export_.url, false, problems);
  check_discovery(settings, problems);
  check_routes(settings.limits, problems);
  check_breaker(settings.breaker, problems);
  if (settings.journal.sync == JournalSync::none && !settings.allow_unsafe) {
    problems.push_back({"", "journal.sync",
                        "none acknowledges what a power cut can lose; set allow_unsafe: true if "
                        "that is meant"});
  }
  check_store(settings.store.url, problems);
  check_archive(settings.archive.url, problems);
  return problems;
}

}  // namespace trialwire::config
