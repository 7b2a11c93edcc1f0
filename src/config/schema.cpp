// SPDX-License-Identifier: Apache-2.0
#include "config/schema.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

#include <fmt/format.h>

#include "base/check.hpp"

namespace trialwire::config {
namespace {

constexpr std::array<std::string_view, 3> role_names{"gateway", "processor", "api"};
constexpr std::array<std::string_view, 2> unknown_fields_names{"keep", "refuse"};
constexpr std::array<std::string_view, 2> sync_names{"always", "none"};
constexpr std::array<std::string_view, 3> priority_names{"as_pipeline", "background", "normal"};
constexpr std::array<std::string_view, 3> io_names{"auto", "direct", "buffered"};
constexpr std::array<std::string_view, 2> ack_names{"local", "kafka"};
constexpr std::array<std::string_view, 2> kafka_value_names{"json", "original"};
constexpr std::array<std::string_view, 5> compression_names{"none", "gzip", "snappy", "lz4",
                                                            "zstd"};
constexpr std::array<std::string_view, 4> protocol_names{"plaintext", "ssl", "sasl_plaintext",
                                                         "sasl_ssl"};
constexpr std::array<std::string_view, 3> mechanism_names{"PLAIN", "SCRAM-SHA-256",
                                                          "SCRAM-SHA-512"};
constexpr std::array<std::string_view, 6> level_names{"trace", "debug", "info",
                                                      "warn",  "error", "off"};
constexpr std::array<std::string_view, 2> format_names{"plain", "json"};

/// Names in the order of the enum's values.
std::span<const std::string_view> names_of(Role) {
  return role_names;
}
std::span<const std::string_view> names_of(UnknownFields) {
  return unknown_fields_names;
}
std::span<const std::string_view> names_of(JournalSync) {
  return sync_names;
}
std::span<const std::string_view> names_of(JournalIo) {
  return io_names;
}
std::span<const std::string_view> names_of(JournalAck) {
  return ack_names;
}
std::span<const std::string_view> names_of(KafkaValue) {
  return kafka_value_names;
}
std::span<const std::string_view> names_of(SinkPriority) {
  return priority_names;
}
std::span<const std::string_view> names_of(LogLevel) {
  return level_names;
}
std::span<const std::string_view> names_of(LogFormat) {
  return format_names;
}

template <typename E>
E enum_of(const std::string& name) {
  auto names = names_of(E{});
  auto found = std::ranges::find(names, name);
  TW_CHECK(found != names.end());
  return static_cast<E>(found - names.begin());
}

template <typename E>
std::string enum_name(E value) {
  return std::string(names_of(value)[static_cast<std::size_t>(value)]);
}

template <typename T>
Value to_value(const T& field) {
  if constexpr (std::is_enum_v<T>) {
    return enum_name(field);
  } else if constexpr (std::is_same_v<T, std::vector<Role>>) {
    std::vector<std::string> names;
    for (Role role : field) names.push_back(enum_name(role));
    return names;
  } else if constexpr (std::is_same_v<T, std::uint32_t>) {
    return std::uint64_t{field};
  } else {
    return field;
  }
}

template <typename T>
void assign(T& field, const Value& value) {
  if constexpr (std::is_enum_v<T>) {
    field = enum_of<T>(std::get<std::string>(value));
  } else if constexpr (std::is_same_v<T, std::vector<Role>>) {
    field.clear();
    for (const auto& name : std::get<std::vector<std::string>>(value)) {
      field.push_back(enum_of<Role>(name));
    }
  } else if constexpr (std::is_same_v<T, std::uint32_t>) {
    field = static_cast<std::uint32_t>(std::get<std::uint64_t>(value));
  } else {
    field = std::get<T>(value);
  }
}

/// One row; `Members` lead from Settings to the field.
template <auto... Members>
Descriptor row(std::string_view path, Constraint constraint, std::string_view help,
               bool secret = false) {
  return {path,
          constraint,
          help,
          secret,
          [](const Settings& settings) { return to_value((settings.*....*Members)); },
          [](Settings& settings, const Value& value) { assign((settings.*....*Members), value); }};
}

constexpr std::uint64_t kib = 1ULL << 10, mib = 1ULL << 20, gib = 1ULL << 30, tib = 1ULL << 40;
constexpr std::uint64_t ms = 1'000'000, second = 1'000'000'000;
constexpr std::uint64_t hour = 3'600 * second, year = 365 * 24 * hour;

constexpr Constraint boolean{.kind = Kind::boolean};
constexpr Constraint listen{.kind = Kind::listen};

Constraint integer(std::uint64_t minimum, std::uint64_t maximum) {
  return {.kind = Kind::integer, .minimum = minimum, .maximum = maximum};
}
Constraint bytes(std::uint64_t minimum, std::uint64_t maximum) {
  return {.kind = Kind::bytes, .minimum = minimum, .maximum = maximum};
}
Constraint duration(std::uint64_t minimum, std::uint64_t maximum) {
  return {.kind = Kind::duration, .minimum = minimum, .maximum = maximum};
}
Constraint choice(std::span<const std::string_view> names) {
  return {.kind = Kind::choice, .choices = names};
}

using S = Settings;

void add_general(std::vector<Descriptor>& rows) {
  rows.push_back(row<&S::data_dir>("data_dir", {.kind = Kind::text, .minimum = 1},
                                   "Directory of everything that is kept; made when missing."));
  rows.push_back(row<&S::roles>(
      "roles", {.kind = Kind::choice_list, .choices = role_names},
      "gateway takes records in, processor stores them, api answers queries. A gateway without "
      "processor sends them to Kafka, a processor without gateway reads them there."));
  rows.push_back(
      row<&S::allow_insecure>("allow_insecure", boolean,
                              "Permits listening beyond loopback without TLS and authentication."));
  rows.push_back(row<&S::allow_unsafe>("allow_unsafe", boolean,
                                       "Permits settings that can lose acknowledged reports."));
  using R = RuntimeSettings;
  rows.push_back(row<&S::runtime, &R::shards>(
      "runtime.shards", integer(0, 1024),
      "I/O threads; 0 takes the CPUs of the affinity mask within the cgroup's quota."));
  rows.push_back(
      row<&S::runtime, &R::workers>("runtime.workers", integer(1, 256), "Threads for queries."));
  rows.push_back(row<&S::runtime, &R::worker_queue>(
      "runtime.worker_queue", integer(1, 1'000'000),
      "Queries that may wait for a worker; more are answered 503."));
  rows.push_back(row<&S::runtime, &R::drain>(
      "runtime.drain", duration(0, hour),
      "Time to finish what was accepted after SIGTERM or SIGINT; the rest is closed."));
}

void add_listeners(std::vector<Descriptor>& rows) {
  rows.push_back(row<&S::http, &HttpSettings::listen>(
      "http.listen", listen, "Address for clients; port 0 takes a free one, empty is off."));
  using A = AdminSettings;
  rows.push_back(row<&S::admin, &A::listen>(
      "admin.listen", listen, "Address of /healthz, /readyz and /metrics; empty is off."));
  rows.push_back(row<&S::admin, &A::disk_room_min>(
      "admin.disk_room_min", {.kind = Kind::percent, .minimum = 0, .maximum = 100},
      "Free space of data_dir's file system under which /readyz says not ready."));
}

void add_ingest(std::vector<Descriptor>& rows) {
  using I = IngestSettings;
  rows.push_back(row<&S::ingest, &I::unknown_fields>(
      "ingest.unknown_fields", choice(unknown_fields_names),
      "Fields that the contract does not know: kept in the original and counted, or refused."));
  rows.push_back(
      row<&S::ingest, &I::request_records>("ingest.request_records", integer(1, 1'000'000),
                                           "Records of one request; more is answered 413."));
  rows.push_back(row<&S::ingest, &I::errors_listed>(
      "ingest.errors_listed", integer(1, 10'000), "Errors listed in one answer; all are counted."));
  rows.push_back(row<&S::ingest, &I::json_depth>("ingest.json_depth", integer(2, 1'000),
                                                 "Levels of objects and arrays in a record."));
  rows.push_back(row<&S::ingest, &I::object_fields>("ingest.object_fields", integer(32, 100'000),
                                                    "Members of one record."));
}

void add_journal(std::vector<Descriptor>& rows) {
  using J = JournalSettings;
  rows.push_back(row<&S::journal, &J::sync>(
      "journal.sync", choice(sync_names),
      "When a batch is on disk before it is acknowledged; none wants allow_unsafe, and receipts "
      "then say \"durable\":false."));
  rows.push_back(row<&S::journal, &J::io>(
      "journal.io", choice(io_names),
      "Direct writes, through the page cache, or direct where the file system takes them."));
  rows.push_back(row<&S::journal, &J::ack>(
      "journal.ack", choice(ack_names),
      "Who must have a record before it is acknowledged: this machine's disk, or Kafka's in-sync "
      "replicas as well."));
  rows.push_back(row<&S::journal, &J::segment_bytes>(
      "journal.segment_bytes", bytes(mib, 4 * gib),
      "Size of a segment file, a multiple of 4KiB, at least twice limits.inflated_body."));
  rows.push_back(row<&S::journal, &J::max_bytes>(
      "journal.max_bytes", bytes(4 * mib, 1024 * tib),
      "Disk budget, at least four segments: over it the oldest delivered segments go whatever "
      "their age."));
  constexpr Constraint share{.kind = Kind::percent, .minimum = 1, .maximum = 100};
  rows.push_back(row<&S::journal, &J::undelivered_high>(
      "journal.undelivered_high", share,
      "Share of journal.max_bytes that the sink furthest behind may lack; from there on requests "
      "are answered 503, until it is at journal.undelivered_low."));
  rows.push_back(row<&S::journal, &J::undelivered_low>(
      "journal.undelivered_low", share,
      "Share of journal.max_bytes at which they are accepted again."));
  rows.push_back(row<&S::journal, &J::retention>("journal.retention", duration(0, 100 * year),
                                                 "How long delivered segments are kept."));
  rows.push_back(row<&S::journal, &J::batch_bytes>(
      "journal.batch_bytes", bytes(64 * kib, 64 * mib),
      "Soft limit of a batch; the records of one request are never split."));
  rows.push_back(
      row<&S::journal, &J::recent_bytes>("journal.recent_bytes", bytes(mib, 16 * gib),
                                         "Recent batches kept in memory for sinks that keep up."));
  rows.push_back(row<&S::journal, &J::commit_bytes>("journal.commit_bytes", bytes(kib, 16 * mib),
                                                    "A commit starts when so much waits."));
  rows.push_back(row<&S::journal, &J::commit_interval>(
      "journal.commit_interval", duration(0, second),
      "A commit starts so long after the last one started, when more than one request waits; one "
      "alone waits for no other."));
  rows.push_back(row<&S::journal, &J::silence>(
      "journal.silence", duration(ms, hour),
      "After so long without a record an empty batch seals the last one."));
  rows.push_back(row<&S::journal, &J::scrub_bytes_per_second>(
      "journal.scrub_bytes_per_second", bytes(0, 10 * gib),
      "Rate at which segments at rest are verified; 0 is off."));
}

void add_archive(std::vector<Descriptor>& rows) {
  using A = ArchiveSettings;
  rows.push_back(row<&S::archive, &A::url>(
      "archive.url", {.kind = Kind::url},
      "Object store of full segments, which are deleted from the journal only after: file:PATH. A "
      "path that begins with data/ is in data_dir; empty is off.",
      true));
  rows.push_back(row<&S::archive, &A::keep>(
      "archive.keep", duration(hour, 200 * year),
      "How long archived segments are kept; only what is older is ever removed."));
  rows.push_back(
      row<&S::archive, &A::level>("archive.level", integer(1, 19), "Level of compression (zstd)."));
  rows.push_back(
      row<&S::archive, &A::rate>("archive.rate", bytes(0, 100 * gib),
                                 "Bytes of segments archived a second; 0 is as fast as it goes. It "
                                 "does not hold while what is "
                                 "not archived takes more than half of journal.max_bytes."));
}

void add_stores(std::vector<Descriptor>& rows) {
  using D = DedupeSettings;
  rows.push_back(row<&S::dedupe, &D::window>(
      "dedupe.window", duration(0, 100 * year),
      "How long a retry is recognised at intake; 0 is off (SQL stays single by its keys)."));
  rows.push_back(row<&S::dedupe, &D::memory>(
      "dedupe.memory", bytes(mib, 64 * gib),
      "Memory of the identity index; fingerprints of what it indexes are on disk."));
  rows.push_back(row<&S::dedupe, &D::key_file>(
      "dedupe.key_file", {.kind = Kind::text},
      "Key of identities of all gateways of one database, so that a retry at another one adds no "
      "row: a copy of the first one's journal/identity.key. A new journal takes it and keeps it; "
      "empty: it makes its own."));
  rows.push_back(row<&S::store, &StoreSettings::url>(
      "store.url", {.kind = Kind::url, .minimum = 1},
      "Database of the records: sqlite:PATH (a path that begins with data/ is in data_dir), "
      "postgres://USER:PASSWORD@HOST:PORT/DATABASE or mysql://USER:PASSWORD@HOST:PORT/DATABASE; "
      "what is special in a URL is percent-encoded.",
      true));
}

/// What one sink has in place of the numbers of `pipeline`.
template <auto Sink>
void add_sink(std::vector<Descriptor>& rows, std::string_view sink, std::uint64_t lanes_max) {
  using One = SinkSettings;
  static const std::vector<std::string> paths = [sink] {
    std::vector<std::string> made;
    for (std::string_view name : {"lanes", "batch_records", "batch_records_lagging", "batch_delay",
                                  "batch_bytes", "priority"}) {
      made.push_back(fmt::format("pipeline.sinks.{}.{}", sink, name));
    }
    return made;
  }();
  rows.push_back(row<&S::pipeline, Sink, &One::lanes>(
      paths[0], integer(0, lanes_max), "As pipeline.lanes, of this sink; 0: as that."));
  rows.push_back(row<&S::pipeline, Sink, &One::batch_records>(
      paths[1], integer(0, 100'000), "As pipeline.batch_records; 0: as that."));
  rows.push_back(row<&S::pipeline, Sink, &One::batch_records_lagging>(
      paths[2], integer(0, 1'000'000), "As pipeline.batch_records_lagging; 0: as that."));
  rows.push_back(row<&S::pipeline, Sink, &One::batch_delay>(
      paths[3], duration(0, hour), "As pipeline.batch_delay; 0: as that."));
  rows.push_back(row<&S::pipeline, Sink, &One::batch_bytes>(
      paths[4], bytes(0, gib), "As pipeline.batch_bytes; 0: as that."));
  rows.push_back(row<&S::pipeline, Sink, &One::priority>(
      paths[5], choice(priority_names),
      "In the background, at normal priority, or as pipeline.background says."));
}

void add_pipeline(std::vector<Descriptor>& rows) {
  using P = PipelineSettings;
  rows.push_back(row<&S::pipeline, &P::lanes>(
      "pipeline.lanes", integer(1, 64),
      "Connections of a sink that records are spread over, by patient, device or study; each keeps "
      "the order of its own. May change from start to start."));
  rows.push_back(row<&S::pipeline, &P::batch_records>("pipeline.batch_records", integer(1, 100'000),
                                                      "Records of one sink transaction."));
  rows.push_back(row<&S::pipeline, &P::batch_records_lagging>(
      "pipeline.batch_records_lagging", integer(1, 1'000'000),
      "Records of one sink transaction while the sink lags."));
  rows.push_back(row<&S::pipeline, &P::batch_delay>("pipeline.batch_delay", duration(0, hour),
                                                    "How long a sink waits for a batch to fill."));
  rows.push_back(row<&S::pipeline, &P::batch_bytes>(
      "pipeline.batch_bytes", bytes(64 * kib, gib),
      "Bytes of one sink transaction; one request's records are never split."));
  rows.push_back(row<&S::pipeline, &P::delivery_interval>(
      "pipeline.delivery_interval", duration(0, hour),
      "From one sink transaction's start to the next's, unless a full one waits."));
  rows.push_back(row<&S::pipeline, &P::retry_first>(
      "pipeline.retry_first", duration(ms, hour),
      "Longest wait after a sink's first failure; doubled with each further one."));
  rows.push_back(
      row<&S::pipeline, &P::retry_max>("pipeline.retry_max", duration(ms, hour),
                                       "Longest wait between a sink's attempts; they never end."));
  rows.push_back(row<&S::pipeline, &P::background>(
      "pipeline.background", boolean,
      "Sinks get the processor and the disk when nothing else wants them: intake comes first. "
      "Where the lowest priority is not enough for that, they pause between transactions."));
  rows.push_back(row<&S::pipeline, &P::pause_max>(
      "pipeline.pause_max", duration(0, hour),
      "Longest pause of a sink in the background while it meets contention; the first is 250ms, "
      "each further one twice as long. 0 is off."));
  rows.push_back(row<&S::pipeline, &P::pause_waiting_share>(
      "pipeline.pause_waiting_share", {.kind = Kind::percent, .minimum = 0, .maximum = 100},
      "The processor is contended when a sink waits for it for more than this share of the time "
      "that it wants it."));
  rows.push_back(row<&S::pipeline, &P::pause_lag_max>(
      "pipeline.pause_lag_max", duration(0, 24 * hour),
      "A sink does not pause once it is so far behind: rows become visible later in a burst, not "
      "for as long as intake is busy."));
  rows.push_back(row<&S::pipeline, &P::pause_backlog_share>(
      "pipeline.pause_backlog_share", {.kind = Kind::percent, .minimum = 0, .maximum = 100},
      "A sink does not pause while what it lacks takes more than this share of "
      "journal.max_bytes."));
  rows.push_back(row<&S::pipeline, &P::qol_batch_records>(
      "pipeline.qol_batch_records", integer(1, 100'000),
      "Quality of life answers wait for so many of them, in place of pipeline.batch_records."));
  rows.push_back(row<&S::pipeline, &P::qol_batch_records_lagging>(
      "pipeline.qol_batch_records_lagging", integer(1, 1'000'000),
      "Quality of life answers that a sink collects for one transaction while it lags."));
  rows.push_back(row<&S::pipeline, &P::qol_batch_delay>(
      "pipeline.qol_batch_delay", duration(0, hour),
      "How long quality of life answers wait for more, in place of pipeline.batch_delay."));
  rows.push_back(row<&S::pipeline, &P::refusals_max>(
      "pipeline.refusals_max", integer(0, 1'000'000),
      "Records that a sink refuses in a row, none taken between, are set aside as dead letters up "
      "to this number; then the sink is taken to be wrong, and waited for. 0 is no bound."));
  add_sink<&P::sqlite>(rows, "sqlite", 1);
  add_sink<&P::postgres>(rows, "postgres", 64);
  add_sink<&P::mysql>(rows, "mysql", 64);
  add_sink<&P::kafka>(rows, "kafka", 1);
}

void add_kafka_topics(std::vector<Descriptor>& rows) {
  using T = KafkaTopicSettings;
  constexpr Constraint topic{.kind = Kind::text};
  constexpr auto in = &KafkaSettings::topics;
  constexpr std::string_view help = "Topic of this kind; empty is kafka.topic_prefix and the kind.";
  rows.push_back(row<&S::kafka, in, &T::epro_report>("kafka.topics.epro_report", topic, help));
  rows.push_back(row<&S::kafka, in, &T::qol_answer>("kafka.topics.qol_answer", topic, help));
  rows.push_back(row<&S::kafka, in, &T::vital_sign>("kafka.topics.vital_sign", topic, help));
  rows.push_back(row<&S::kafka, in, &T::trial_metric>("kafka.topics.trial_metric", topic, help));
  rows.push_back(row<&S::kafka, in, &T::alert>("kafka.topics.alert", topic, help));
  rows.push_back(
      row<&S::kafka, in, &T::project_created>("kafka.topics.project_created", topic, help));
}

void add_kafka_security(std::vector<Descriptor>& rows) {
  using K = KafkaSecuritySettings;
  constexpr Constraint text{.kind = Kind::text};
  constexpr auto in = &KafkaSettings::security;
  rows.push_back(
      row<&S::kafka, in, &K::protocol>("kafka.security.protocol", choice(protocol_names),
                                       "With or without TLS (ssl), credentials (sasl)."));
  rows.push_back(row<&S::kafka, in, &K::ca>(
      "kafka.security.ca", text,
      "File of the authorities that brokers' certificates must come from; empty: the system's."));
  rows.push_back(row<&S::kafka, in, &K::cert>("kafka.security.cert", text,
                                              "File of this client's certificate; empty is none."));
  rows.push_back(
      row<&S::kafka, in, &K::key>("kafka.security.key", text, "File of its private key."));
  rows.push_back(row<&S::kafka, in, &K::mechanism>(
      "kafka.security.mechanism", choice(mechanism_names), "How credentials are shown."));
  rows.push_back(
      row<&S::kafka, in, &K::username>("kafka.security.username", text, "Who this client is."));
  rows.push_back(row<&S::kafka, in, &K::password_file>(
      "kafka.security.password_file", text,
      "File that holds the password; read again when brokers refuse it."));
}

void add_kafka(std::vector<Descriptor>& rows) {
  using K = KafkaSettings;
  rows.push_back(row<&S::kafka, &K::brokers>(
      "kafka.brokers", {.kind = Kind::text_list},
      "Addresses (host:port) of some brokers of the cluster; none: no Kafka."));
  rows.push_back(row<&S::kafka, &K::topic_prefix>(
      "kafka.topic_prefix", {.kind = Kind::text, .minimum = 1}, "Topics are called PREFIX.KIND."));
  add_kafka_topics(rows);
  rows.push_back(row<&S::kafka, &K::value>(
      "kafka.value", choice(kafka_value_names),
      "What a message holds: the record as in lists, or the sender's bytes, which processors "
      "need."));
  rows.push_back(row<&S::kafka, &K::compression>("kafka.compression", choice(compression_names),
                                                 "Of messages on the way and at rest."));
  rows.push_back(row<&S::kafka, &K::linger>("kafka.linger", duration(0, second),
                                            "How long a request to a broker waits to fill."));
  rows.push_back(row<&S::kafka, &K::message_bytes>(
      "kafka.message_bytes", bytes(kib, gib),
      "Largest message, headers included; a larger one is a dead letter. What topics take "
      "(max.message.bytes) should be no less."));
  rows.push_back(row<&S::kafka, &K::request_bytes>(
      "kafka.request_bytes", bytes(kib, gib),
      "Largest batch of messages for one partition; no more than topics take."));
  rows.push_back(row<&S::kafka, &K::queue_messages>(
      "kafka.queue_messages", integer(100, 10'000'000),
      "Messages that wait for brokers in memory; the rest waits in the journal."));
  rows.push_back(row<&S::kafka, &K::queue_bytes>("kafka.queue_bytes", bytes(mib, 2 * gib),
                                                 "And their bytes."));
  rows.push_back(row<&S::kafka, &K::create_topics>(
      "kafka.create_topics", boolean,
      "Makes topics that are missing, with the two numbers below; without it, the brokers do or an "
      "operator."));
  rows.push_back(row<&S::kafka, &K::partitions>("kafka.partitions", integer(0, 10'000),
                                                "Of a topic made here; 0: the brokers' default."));
  rows.push_back(row<&S::kafka, &K::replication>("kafka.replication", integer(0, 100),
                                                 "Of a topic made here; 0: the brokers' default."));
  rows.push_back(row<&S::kafka, &K::group>(
      "kafka.group", {.kind = Kind::text, .minimum = 1},
      "Consumer group of processors without a gateway; those of one database are one group."));
  rows.push_back(row<&S::kafka, &K::session_timeout>(
      "kafka.session_timeout", duration(second, hour),
      "A processor that is not heard of for so long loses its partitions to others."));
  rows.push_back(row<&S::kafka, &K::partition_bytes>(
      "kafka.partition_bytes", bytes(mib, gib),
      "Messages of one partition that a processor fetches ahead."));
  add_kafka_security(rows);
}

void add_limits(std::vector<Descriptor>& rows) {
  using L = LimitSettings;
  rows.push_back(row<&S::limits, &L::connections>("limits.connections", integer(1, 10'000'000),
                                                  "Open connections; more are refused."));
  rows.push_back(row<&S::limits, &L::request_line>("limits.request_line", bytes(256, 64 * kib),
                                                   "Request line; more is answered 414."));
  rows.push_back(
      row<&S::limits, &L::request_head>("limits.request_head", bytes(kib, 128 * kib),
                                        "Request line and headers; more is answered 431."));
  rows.push_back(row<&S::limits, &L::body>("limits.body", bytes(kib, 256 * mib),
                                           "Request body as sent; more is answered 413."));
  rows.push_back(row<&S::limits, &L::inflated_body>(
      "limits.inflated_body", bytes(kib, 256 * mib),
      "Request body after gunzip, at least limits.body; more is answered 413."));
  rows.push_back(row<&S::limits, &L::header_timeout>("limits.header_timeout", duration(ms, hour),
                                                     "Time for a request's head; then 408."));
  rows.push_back(row<&S::limits, &L::body_timeout>(
      "limits.body_timeout", duration(ms, hour),
      "Time for limits.body_progress more of a request's body, or its end; then 408."));
  rows.push_back(
      row<&S::limits, &L::body_progress>("limits.body_progress", bytes(1, 256 * mib),
                                         "What a body must bring within limits.body_timeout."));
  rows.push_back(row<&S::limits, &L::write_timeout>(
      "limits.write_timeout", duration(ms, hour),
      "A client that takes no byte of an answer for so long is closed."));
  rows.push_back(row<&S::limits, &L::linger_timeout>(
      "limits.linger_timeout", duration(0, hour),
      "After a refusal a connection is still read for so long, so that the client sees it."));
  rows.push_back(row<&S::limits, &L::linger_bytes>("limits.linger_bytes", bytes(0, gib),
                                                   "And so much of it at most."));
  rows.push_back(
      row<&S::limits, &L::idle_timeout>("limits.idle_timeout", duration(ms, 24 * hour),
                                        "A connection without a request is closed after it."));
  rows.push_back(row<&S::limits, &L::request_deadline>(
      "limits.request_deadline", duration(ms, hour),
      "Time for an answer; then 504, outcome unknown, retry."));
  rows.push_back(row<&S::limits, &L::unacknowledged_connection>(
      "limits.unacknowledged_connection", bytes(64 * kib, gib),
      "Unacknowledged bytes of a connection; over it, it is not read."));
  rows.push_back(row<&S::limits, &L::unacknowledged_total>(
      "limits.unacknowledged_total", bytes(mib, 64 * gib),
      "Unacknowledged bytes of all connections; over it nobody is read, then requests are "
      "answered 503."));
  rows.push_back(
      row<&S::limits, &L::overload_wait>("limits.overload_wait", duration(0, hour),
                                         "How long nobody is read over limits.unacknowledged_total "
                                         "before requests are answered 503."));
  rows.push_back(row<&S::limits, &L::incomplete_bytes>(
      "limits.incomplete_bytes", bytes(mib, 64 * gib),
      "Memory of an I/O thread for incomplete requests; beyond it those that grow are answered "
      "503."));
  rows.push_back(
      row<&S::limits, &L::pipelined>("limits.pipelined", integer(1, 65'536),
                                     "Requests of one connection that are in work together."));
}

void add_log(std::vector<Descriptor>& rows) {
  using L = LogSettings;
  rows.push_back(row<&S::log, &L::level>("log.level", choice(level_names), "What is logged."));
  rows.push_back(row<&S::log, &L::format>("log.format", choice(format_names),
                                          "One line an event: plain text or a JSON object."));
  rows.push_back(row<&S::log, &L::file>("log.file", {.kind = Kind::text},
                                        "File to append to; empty is standard error."));
}

std::vector<Descriptor> make_rows() {
  std::vector<Descriptor> rows;
  add_general(rows);
  add_listeners(rows);
  add_ingest(rows);
  add_journal(rows);
  add_archive(rows);
  add_pipeline(rows);
  add_stores(rows);
  add_kafka(rows);
  add_limits(rows);
  add_log(rows);
  return rows;
}

}  // namespace

std::span<const Descriptor> descriptors() {
  static const std::vector<Descriptor> rows = make_rows();
  return rows;
}

std::string_view section_of(std::string_view path) {
  std::size_t dot = path.find('.');
  return dot == std::string_view::npos ? std::string_view{} : path.substr(0, dot);
}

std::string_view section_help(std::string_view section) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 13> lines{{
      {"", "Of the whole program."},
      {"runtime", "Threads, and how the process ends."},
      {"http", "The listener for clients."},
      {"admin", "The listener for operators."},
      {"ingest", "What intake makes of a body."},
      {"journal", "The durable log that acknowledges."},
      {"archive", "Where full segments of the journal are kept for good."},
      {"dedupe", "How retries are recognised."},
      {"pipeline", "From the journal to the sinks."},
      {"store", "Where reports are queried."},
      {"kafka", "Events of records, for who reacts to them."},
      {"limits", "What one client, and all of them, may take."},
      {"log", "The log; it never holds patient data."},
  }};
  auto found =
      std::ranges::find(lines, section, &std::pair<std::string_view, std::string_view>::first);
  TW_CHECK(found != lines.end());
  return found->second;
}

std::string shown_value(const Descriptor& descriptor, const Settings& settings) {
  Value value = descriptor.get(settings);
  if (descriptor.secret) {
    auto& text = std::get<std::string>(value);
    text = descriptor.constraint.kind == Kind::url ? mask_url(text) : text.empty() ? "" : "***";
  }
  return format_value(descriptor.constraint.kind, value);
}

}  // namespace trialwire::config
