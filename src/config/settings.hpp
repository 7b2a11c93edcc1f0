// SPDX-License-Identifier: Apache-2.0
// Every setting, typed, with its default. What a setting means, its unit and its range are in the
// table of schema.cpp, from which the loader, the reference page and `config print` are made.
// A plain value: made once at start, then only read.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace trialwire::config {

enum class Role : std::uint8_t { gateway, processor, api };
enum class UnknownFields : std::uint8_t { keep, refuse };
enum class JournalSync : std::uint8_t { always, none };
enum class JournalAck : std::uint8_t { local, kafka };
enum class KafkaValue : std::uint8_t { json, original };
enum class SinkPriority : std::uint8_t { as_pipeline, background, normal };
enum class BreakerForm : std::uint8_t { adaptive, ratio };
enum class JournalIo : std::uint8_t { automatic, direct, buffered };
enum class AuthMode : std::uint8_t { none, jwt };
enum class LogLevel : std::uint8_t { trace, debug, info, warn, error, off };
enum class LogFormat : std::uint8_t { plain, json };

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

struct RuntimeSettings {
  std::uint32_t shards = 0;  // 0: CPUs of the affinity mask within the cgroup's quota
  std::uint32_t workers = 4;
  std::uint64_t worker_queue = 10'240;
  Duration drain = 5500ms;
};

struct TlsSettings {
  std::string cert;  // empty: plain
  std::string key;
  std::string client_ca;
  Duration refresh = 10s;
  std::uint64_t kept_buffers = 1'024;  // connections
};

struct HttpSettings {
  std::string listen = "127.0.0.1:8080";
  TlsSettings tls;
};

struct ProfileSettings {
  Duration longest = 120s;
  std::uint32_t rate = 100;  // a second of a thread's processor time
  std::uint64_t stacks = 16'384;
  std::uint64_t heap_interval = 512ULL << 10;
  bool heap_always = false;
  Duration on_signal = 10s;
  std::uint32_t files = 8;
};

struct AdminSettings {
  std::string listen = "127.0.0.1:6060";
  double disk_room_min = 1;  // percent
  std::string token_file;    // empty: nobody is asked for one
  ProfileSettings profile;
};

struct IngestSettings {
  UnknownFields unknown_fields = UnknownFields::keep;
  std::uint32_t request_records = 10'000;
  std::uint64_t record_bytes = 8ULL << 20;
  std::uint32_t errors_listed = 100;
  std::uint32_t json_depth = 64;
  std::uint32_t object_fields = 1'000;
};

struct JournalSettings {
  JournalSync sync = JournalSync::always;
  JournalIo io = JournalIo::automatic;
  JournalAck ack = JournalAck::local;
  std::uint64_t segment_bytes = 128ULL << 20;
  std::uint64_t max_bytes = 16ULL << 30;
  double undelivered_high = 90;  // percent of max_bytes
  double undelivered_low = 75;   // likewise
  Duration retention = 24h;
  std::uint64_t batch_bytes = 4ULL << 20;
  std::uint64_t recent_bytes = 16ULL << 20;
  std::uint64_t commit_bytes = 64ULL << 10;
  Duration commit_interval = 500us;
  Duration silence = 50ms;
  std::uint64_t scrub_bytes_per_second = 8ULL << 20;
};

struct ArchiveSettings {
  std::string url = "file:data/archive";  // empty: no archive
  Duration keep = 25 * 365 * 24h;
  std::uint32_t level = 3;
  std::uint64_t rate = 32ULL << 20;  // bytes a second
};

struct DedupeSettings {
  Duration window = 24h;
  std::uint64_t memory = 64ULL << 20;
  std::string key_file;
};

/// Of one sink, in place of what `pipeline` says; 0: as that.
struct SinkSettings {
  std::uint32_t lanes = 0;
  std::uint64_t batch_records = 0;
  std::uint64_t batch_records_lagging = 0;
  Duration batch_delay = 0ns;
  std::uint64_t batch_bytes = 0;
  SinkPriority priority = SinkPriority::as_pipeline;
};

struct PipelineSettings {
  std::uint32_t lanes = 1;
  std::uint64_t batch_records = 512;
  std::uint64_t batch_records_lagging = 16'384;
  Duration batch_delay = 500ms;
  std::uint64_t batch_bytes = 8ULL << 20;
  Duration delivery_interval = 100ms;
  Duration retry_first = 100ms;
  Duration retry_max = 30s;
  Duration idle_check = 30s;
  bool background = true;
  Duration pause_max = 2s;
  double pause_waiting_share = 20;  // percent
  Duration pause_lag_max = 60s;
  Duration pause_lag_in_pace = 500ms;
  double pause_backlog_share = 50;  // percent of journal.max_bytes
  std::uint64_t qol_batch_records = 100;
  std::uint64_t qol_batch_records_lagging = 2'048;
  Duration qol_batch_delay = 1s;
  std::uint32_t refusals_max = 100;
  Duration dead_letters_keep = 720h;  // once delivered
  SinkSettings sqlite;
  SinkSettings postgres;
  SinkSettings mysql;
  // No transaction: the larger a delivery, the less often its last reports are waited for alone.
  SinkSettings kafka{.batch_records_lagging = 65'536, .batch_bytes = 32ULL << 20};
};

struct StoreSettings {
  std::string url = "sqlite:data/trialwire.db";
  Duration connect_timeout = 5s;
  Duration statement_timeout = 60s;
};

/// Names of the topics of single kinds; empty: prefix and kind.
struct KafkaTopicSettings {
  std::string epro_report;
  std::string qol_answer;
  std::string vital_sign;
  std::string trial_metric;
  std::string alert;
  std::string audit;
  std::string project_created;
};

/// Protocols and mechanisms as librdkafka names them.
struct KafkaSecuritySettings {
  std::string protocol = "plaintext";
  std::string ca;
  std::string cert;
  std::string key;
  std::string mechanism = "PLAIN";
  std::string username;
  std::string password_file;
};

struct KafkaSettings {
  std::vector<std::string> brokers;  // none: no Kafka
  std::string topic_prefix = "trialwire";
  KafkaTopicSettings topics;
  KafkaValue value = KafkaValue::json;
  std::string compression = "lz4";
  Duration linger = 5ms;
  Duration confirm_timeout = 5s;
  std::uint64_t message_bytes = 1'000'000;
  std::uint64_t request_bytes = 1'000'000;
  std::uint64_t queue_messages = 100'000;
  std::uint64_t queue_bytes = 64ULL << 20;
  bool create_topics = false;
  std::uint32_t partitions = 0;
  std::uint32_t replication = 0;
  std::string group = "trialwire";
  Duration session_timeout = 10s;
  std::uint64_t partition_bytes = 8ULL << 20;
  KafkaSecuritySettings security;
};

/// Of one address, of all clients together, and of one name that tokens are made out to.
struct RateSettings {
  std::uint64_t per_second = 0;  // 0: off
  std::uint64_t burst = 120;
  std::uint64_t total_per_second = 0;  // 0: off
  std::uint64_t total_burst = 1'000;
  std::uint64_t addresses = 65'536;
  std::uint32_t ipv6_prefix = 64;
  std::uint64_t subject_per_second = 0;  // 0: off
  std::uint64_t subject_burst = 120;
  std::uint64_t subjects = 65'536;
};

struct ShedSettings {
  double cpu = 90;  // percent; 100: off
  std::uint64_t concurrent = 10'000;
  std::uint64_t queued = 5'000;
  Duration loop_lag = 500ms;     // 0: off
  Duration commit_age = 2500ms;  // 0: off
};

struct BreakerSettings {
  bool routes = true;
  BreakerForm form = BreakerForm::adaptive;
  Duration window = 10s;
  double k = 150;      // percent
  double floor = 110;  // percent
  std::uint32_t protection = 5;
  Duration probe_interval = 1s;
  double success = 50;  // percent
  std::uint32_t calls = 20;
  Duration open = 5s;
};

/// Of the routes below one path; 0: no limit of their own.
struct RouteLimitSettings {
  std::string prefix;
  std::uint64_t per_second = 0;  // of one address
  std::uint64_t burst = 0;
  std::uint64_t concurrent = 0;
  Duration deadline = 0ns;
  std::uint64_t body = 0;
};

struct LimitSettings {
  std::uint64_t connections = 100'000;
  std::uint64_t request_line = 8ULL << 10;
  std::uint64_t request_head = 16ULL << 10;
  std::uint64_t body = 1ULL << 20;
  std::uint64_t inflated_body = 8ULL << 20;
  Duration header_timeout = 10s;
  Duration body_timeout = 30s;
  std::uint64_t body_progress = 64ULL << 10;
  Duration write_timeout = 30s;
  Duration linger_timeout = 1s;
  std::uint64_t linger_bytes = 1ULL << 20;
  Duration idle_timeout = 60s;
  Duration request_deadline = 5s;
  std::uint64_t unacknowledged_connection = 1ULL << 20;
  std::uint64_t unacknowledged_total = 64ULL << 20;
  Duration overload_wait = 250ms;
  std::uint64_t incomplete_bytes = 256ULL << 20;
  std::uint32_t pipelined = 1'024;
  RateSettings rate;
  ShedSettings shed;
  std::vector<RouteLimitSettings> routes;
};

/// Where a token's claims are: a name, or a JSON Pointer that begins with a slash.
struct ClaimSettings {
  std::string name = "sub";
  std::string roles = "roles";
  std::string studies = "studies";
  std::string sites = "sites";
  std::string subject = "subject";
  std::string scope = "scope";
};

struct JwtSettings {
  std::string secret_file;
  std::string previous_secret_file;
  bool allow_weak_secret = false;
  std::string jwks;
  std::string jwks_url;
  Duration jwks_refresh = 5min;
  Duration jwks_refresh_min = 30s;
  std::vector<std::string> algorithms{"HS256", "RS256", "ES256"};
  std::string issuer;
  std::string audience;
  Duration skew = 30s;
  Duration refresh = 10s;
  std::uint64_t token_bytes = 8ULL << 10;
  std::uint64_t cache_bytes = 32ULL << 20;
  ClaimSettings claims;
};

struct AuthSettings {
  AuthMode mode = AuthMode::none;
  JwtSettings jwt;
};

/// Of servers that this process calls over HTTP.
struct ServiceSettings {
  Duration deadline = 5s;
  Duration connect_timeout = 2s;
  std::uint32_t retries = 1;
  double retry_budget = 10;  // percent of the calls
  std::uint32_t retry_burst = 10;
  Duration retry_first = 50ms;
  std::uint64_t answer_bytes = 1ULL << 20;
  std::uint32_t concurrent = 64;
  std::string ca;     // empty: the system's
  std::string proxy;  // empty: none
};

/// What each service is registered as; empty: not at all.
struct DiscoveryKeySettings {
  std::string collection = "collection.rpc";
  std::string trial = "trial.rpc";
  std::string user = "user.rpc";
  std::string edc = "edc.rpc";
  std::string epro = "epro.rpc";
};

struct DiscoverySettings {
  std::vector<std::string> etcd;  // none: no etcd
  DiscoveryKeySettings keys;
  std::string advertise;  // empty: where http listens
  Duration ttl = 10s;
  Duration refresh = 60s;
  std::string ca;
  std::string cert;
  std::string key;
  std::string username;
  std::string password_file;
};

struct TraceExportSettings {
  std::string url;  // empty: none
  std::string ca;
  Duration interval = 5s;
  Duration deadline = 10s;
  std::uint64_t batch = 512;
};

struct TraceSettings {
  double ratio = 0;  // percent
  bool callers = true;
  std::uint32_t per_second = 100;
  std::uint64_t spans = 2'048;  // 0: off
  TraceExportSettings export_;
};

struct LogSettings {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::plain;
  std::string file;
  bool access = false;
  Duration slow_request = 500ms;  // 0: off
  std::uint32_t slow_request_lines = 10;
};

/// The audit trail itself has no setting: it cannot be switched off.
struct AuditSettings {
  std::uint64_t refusals = 256;
  Duration refusals_interval = 60s;
};

struct Settings {
  std::string data_dir = "./data";
  std::vector<Role> roles{Role::gateway, Role::processor, Role::api};
  bool allow_insecure = false;
  bool allow_unsafe = false;
  RuntimeSettings runtime;
  HttpSettings http;
  AdminSettings admin;
  IngestSettings ingest;
  JournalSettings journal;
  ArchiveSettings archive;
  DedupeSettings dedupe;
  PipelineSettings pipeline;
  StoreSettings store;
  KafkaSettings kafka;
  LimitSettings limits;
  AuthSettings auth;
  AuditSettings audit;
  BreakerSettings breaker;
  DiscoverySettings discovery;
  ServiceSettings services;
  TraceSettings trace;
  LogSettings log;
};

}  // namespace trialwire::config
