// SPDX-License-Identifier: Apache-2.0
// Settings of the program as a whole, its listeners, intake, limits and log.
#include "config/schema_rows.hpp"

namespace trialwire::config::schema {

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
  using T = TlsSettings;
  constexpr auto tls = &HttpSettings::tls;
  constexpr Constraint text{.kind = Kind::text};
  rows.push_back(row<&S::http, tls, &T::cert>(
      "http.tls.cert", text,
      "File of the certificate, PEM, and behind it those that lead to its authority; set, clients "
      "must speak TLS 1.2 or 1.3."));
  rows.push_back(row<&S::http, tls, &T::key>(
      "http.tls.key", text, "File of its key, PEM, without a passphrase, mode 0600."));
  rows.push_back(row<&S::http, tls, &T::client_ca>(
      "http.tls.client_ca", text,
      "File of authorities, PEM; set, a client must show a certificate of one of them."));
  rows.push_back(row<&S::http, tls, &T::refresh>(
      "http.tls.refresh", duration(second, 24 * hour),
      "How often it is looked whether these files have changed. New connections get what is new; "
      "what cannot be used leaves the old in force."));
  rows.push_back(row<&S::http, tls, &T::kept_buffers>(
      "http.tls.kept_buffers", integer(0, 1'000'000),
      "Up to so many connections each keeps its buffers of records, some 34 KiB, between requests; "
      "with more of them open they are given back after each, which takes longer."));
  using A = AdminSettings;
  rows.push_back(row<&S::admin, &A::listen>(
      "admin.listen", listen, "Address of /healthz, /readyz and /metrics; empty is off."));
  rows.push_back(row<&S::admin, &A::disk_room_min>(
      "admin.disk_room_min", {.kind = Kind::percent, .minimum = 0, .maximum = 100},
      "Free space of data_dir's file system under which /readyz says not ready."));
  rows.push_back(row<&S::admin, &A::token_file>(
      "admin.token_file", text,
      "File of a token of at least 32 bytes, mode 0600: set, all but /healthz want it as "
      "`Authorization: Bearer`. Read again when it changes."));
  add_profiles(rows);
}

void add_profiles(std::vector<Descriptor>& rows) {
  using P = ProfileSettings;
  constexpr auto profile = &AdminSettings::profile;
  rows.push_back(row<&S::admin, profile, &P::longest>(
      "admin.profile.longest", duration(second, hour),
      "Longest profile that /debug/pprof and /debug/flamegraph take."));
  rows.push_back(row<&S::admin, profile, &P::rate>(
      "admin.profile.rate", integer(1, 1'000),
      "Samples of a CPU profile in a second of a thread's processor time."));
  rows.push_back(row<&S::admin, profile, &P::stacks>(
      "admin.profile.stacks", integer(64, 1'000'000),
      "Different stacks of a CPU profile, some 1.7 KiB each at its end; samples of more are "
      "counted as lost."));
  rows.push_back(row<&S::admin, profile, &P::heap_interval>(
      "admin.profile.heap_interval", bytes(4 * kib, gib),
      "Of so many bytes allocated one allocation is sampled, while allocations are sampled."));
  rows.push_back(row<&S::admin, profile, &P::heap_always>(
      "admin.profile.heap_always", boolean,
      "Allocations are sampled from the start on: a heap profile is of all that is in use. "
      "Otherwise it is of what was allocated while it was taken, and is not sampled before."));
  rows.push_back(row<&S::admin, profile, &P::on_signal>(
      "admin.profile.on_signal", duration(second, hour),
      "Time of the profiles that SIGUSR2 writes to data_dir/profiles."));
  rows.push_back(row<&S::admin, profile, &P::files>(
      "admin.profile.files", integer(1, 1'000),
      "Files of each kind that data_dir/profiles keeps; the oldest go."));
}

void add_ingest(std::vector<Descriptor>& rows) {
  using I = IngestSettings;
  rows.push_back(row<&S::ingest, &I::unknown_fields>(
      "ingest.unknown_fields", choice(unknown_fields_names),
      "Fields that the contract does not know: kept in the original and counted, or refused."));
  rows.push_back(
      row<&S::ingest, &I::request_records>("ingest.request_records", integer(1, 1'000'000),
                                           "Records of one request; more is answered 413."));
  rows.push_back(
      row<&S::ingest, &I::record_bytes>("ingest.record_bytes", bytes(kib, 256 * mib),
                                        "Largest record, as it was sent. With journal.ack: kafka "
                                        "also no more than kafka.message_bytes "
                                        "less 4KiB."));
  rows.push_back(row<&S::ingest, &I::errors_listed>(
      "ingest.errors_listed", integer(1, 10'000), "Errors listed in one answer; all are counted."));
  rows.push_back(row<&S::ingest, &I::json_depth>("ingest.json_depth", integer(2, 1'000),
                                                 "Levels of objects and arrays in a record."));
  rows.push_back(row<&S::ingest, &I::object_fields>("ingest.object_fields", integer(32, 100'000),
                                                    "Members of one record, and of each object "
                                                    "within an unknown field of it."));
}

void add_limits(std::vector<Descriptor>& rows) {
  using L = LimitSettings;
  rows.push_back(row<&S::limits, &L::connections>(
      "limits.connections", integer(1, 10'000'000),
      "Open connections; more are answered 503. Fewer, if the process may "
      "open less than 1,024 files besides (half of what it "
      "may where that is less than 2,048)."));
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

void add_trace(std::vector<Descriptor>& rows) {
  using T = TraceSettings;
  rows.push_back(row<&S::trace, &T::ratio>(
      "trace.ratio", {.kind = Kind::percent, .minimum = 0, .maximum = 100},
      "Share of requests that are traced, of those that bring no decision of their caller."));
  rows.push_back(row<&S::trace, &T::callers>(
      "trace.callers", boolean,
      "A caller's decision is followed: a sampled traceparent is traced, another one not."));
  rows.push_back(row<&S::trace, &T::per_second>(
      "trace.per_second", integer(1, 100'000),
      "Traces a second of an I/O thread; requests beyond it are not traced, and counted."));
  rows.push_back(row<&S::trace, &T::spans>(
      "trace.spans", integer(0, 1'000'000),
      "Spans kept for /debug/traces, 224 bytes each; the oldest go. 0: nothing is traced."));
  using E = TraceExportSettings;
  constexpr auto to = &T::export_;
  constexpr Constraint text{.kind = Kind::text};
  rows.push_back(row<&S::trace, to, &E::url>(
      "trace.export.url", {.kind = Kind::url},
      "Where spans are sent, OTLP/HTTP in JSON: http://127.0.0.1:4318/v1/traces. Empty: nowhere.",
      true));
  rows.push_back(row<&S::trace, to, &E::ca>(
      "trace.export.ca", text,
      "File of the authorities that an https collector is trusted by, PEM; empty: services.ca."));
  rows.push_back(row<&S::trace, to, &E::interval>("trace.export.interval", duration(10 * ms, hour),
                                                  "Time between two looks for new spans."));
  rows.push_back(row<&S::trace, to, &E::deadline>("trace.export.deadline", duration(10 * ms, hour),
                                                  "Time for the collector's answer."));
  rows.push_back(row<&S::trace, to, &E::batch>(
      "trace.export.batch", integer(1, 10'000),
      "Spans of one request. What was not sent before trace.spans came after it is dropped."));
}

void add_log(std::vector<Descriptor>& rows) {
  using L = LogSettings;
  rows.push_back(row<&S::log, &L::level>("log.level", choice(level_names), "What is logged."));
  rows.push_back(row<&S::log, &L::format>("log.format", choice(format_names),
                                          "One line an event: plain text or a JSON object."));
  rows.push_back(row<&S::log, &L::file>("log.file", {.kind = Kind::text},
                                        "File to append to; empty is standard error."));
  rows.push_back(row<&S::log, &L::access>(
      "log.access", boolean,
      "A line for each request of clients: route, method, status and time, module access."));
  rows.push_back(row<&S::log, &L::slow_request>(
      "log.slow_request", duration(0, hour),
      "A request that takes so long gets a line at warn, also without log.access; 0 is off."));
  rows.push_back(row<&S::log, &L::slow_request_lines>(
      "log.slow_request_lines", integer(1, 1'000'000),
      "Such lines a second of an I/O thread; those beyond are counted, and the next line says how "
      "many they were. With log.access each has its own."));
}

}  // namespace trialwire::config::schema
