// SPDX-License-Identifier: Apache-2.0
#include "serve_options.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "data_directory.hpp"
#include "runtime/processors.hpp"

namespace trialwire {
namespace {

std::chrono::milliseconds in_ms(config::Duration time) {
  return std::chrono::ceil<std::chrono::milliseconds>(time);
}

journal::IoMode io_mode(config::JournalIo io) {
  switch (io) {
    case config::JournalIo::direct:
      return journal::IoMode::direct;
    case config::JournalIo::buffered:
      return journal::IoMode::buffered;
    case config::JournalIo::automatic:
      break;
  }
  return journal::IoMode::automatic;
}

telemetry::LogLevel log_level(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::trace:
      return telemetry::LogLevel::trace;
    case config::LogLevel::debug:
      return telemetry::LogLevel::debug;
    case config::LogLevel::info:
      return telemetry::LogLevel::info;
    case config::LogLevel::warn:
      return telemetry::LogLevel::warn;
    case config::LogLevel::error:
      return telemetry::LogLevel::error;
    case config::LogLevel::off:
      break;
  }
  return telemetry::LogLevel::off;
}

std::uint64_t share_of(std::uint64_t bytes, double percent) {
  return static_cast<std::uint64_t>(static_cast<double>(bytes) * percent / 100);
}

pipeline::GiveWayOptions give_way_options(const config::Settings& settings) {
  pipeline::GiveWayOptions options;
  options.pause_max = in_ms(settings.pipeline.pause_max);
  options.waiting_share = settings.pipeline.pause_waiting_share / 100;
  options.lag_max = settings.pipeline.pause_lag_max;
  options.lag_in_pace = settings.pipeline.pause_lag_in_pace;
  options.backlog_bytes_max =
      share_of(settings.journal.max_bytes, settings.pipeline.pause_backlog_share);
  return options;
}

}  // namespace

telemetry::LogOptions log_options(const config::Settings& settings) {
  return {.level = log_level(settings.log.level),
          .json = settings.log.format == config::LogFormat::json,
          .file = settings.log.file};
}

journal::Options journal_options(const config::Settings& settings,
                                 const std::filesystem::path& directory) {
  const auto& from = settings.journal;
  journal::Options options;
  options.directory = directory;
  options.sync =
      from.sync == config::JournalSync::none ? journal::SyncMode::none : journal::SyncMode::always;
  options.io = io_mode(from.io);
  options.batch_bytes_max = from.batch_bytes;
  options.segment_bytes = from.segment_bytes;
  options.bytes_max = from.max_bytes;
  options.undelivered = {.high = share_of(from.max_bytes, from.undelivered_high),
                         .low = share_of(from.max_bytes, from.undelivered_low)};
  options.retention = from.retention;
  options.recent_bytes = from.recent_bytes;
  options.commit_bytes = from.commit_bytes;
  options.commit_interval = std::chrono::ceil<std::chrono::microseconds>(from.commit_interval);
  options.silence = in_ms(from.silence);
  options.acknowledge_replicated = from.ack == config::JournalAck::kafka;
  options.unacknowledged_bytes_max = settings.limits.unacknowledged_total;
  options.dedupe_window = settings.dedupe.window;
  options.dedupe_bytes = settings.dedupe.memory;
  options.identity_key_file = settings.dedupe.key_file;
  options.scrub_bytes_per_second = from.scrub_bytes_per_second;
  return options;
}

archive::ArchiverOptions archiver_options(const config::Settings& settings) {
  const auto& from = settings.archive;
  archive::ArchiverOptions options;
  options.level = static_cast<int>(from.level);
  options.bytes_per_second = from.rate;
  options.keep = from.keep;
  options.backlog_bytes_max = settings.journal.max_bytes / 2;
  options.background = settings.pipeline.background;
  return options;
}

std::string archive_url(const config::Settings& settings, const std::filesystem::path& data_dir) {
  const std::string& url = settings.archive.url;
  return url.empty() ? url : "file:" + path_of_url(url, data_dir).string();
}

net::ServerOptions http_options(const config::Settings& settings) {
  const auto& limits = settings.limits;
  net::ServerOptions options;
  options.name = "http";
  options.listen = settings.http.listen;
  options.connections_max = limits.connections;
  options.head_bytes_max = limits.request_head;
  options.body_bytes_max = limits.body;
  options.request_line_bytes_max = limits.request_line;
  options.header_timeout = in_ms(limits.header_timeout);
  options.body_timeout = in_ms(limits.body_timeout);
  options.idle_timeout = in_ms(limits.idle_timeout);
  options.request_deadline = in_ms(limits.request_deadline);
  options.write_timeout = in_ms(limits.write_timeout);
  options.linger_timeout = in_ms(limits.linger_timeout);
  options.linger_bytes_max = limits.linger_bytes;
  options.body_progress_bytes = limits.body_progress;
  options.connection_unacknowledged_bytes_max = limits.unacknowledged_connection;
  options.pipelined_max = limits.pipelined;
  options.shard_partial_bytes_max = limits.incomplete_bytes;
  options.overload_wait = in_ms(limits.overload_wait);
  if (settings.breaker.routes) options.route_breakers = breaker_options(settings);
  options.log = {.every = settings.log.access,
                 .slow = settings.log.slow_request,
                 .slow_lines = settings.log.slow_request_lines};
  return options;
}

net::ServerOptions admin_options(const config::Settings& settings) {
  net::ServerOptions options;
  options.name = "admin";
  options.listen = settings.admin.listen;
  options.connections_max = 256;  // operators and scrapers, not clients
  options.body_bytes_max = 4 << 10;
  // A profile is answered when it is taken; all else at once.
  constexpr std::chrono::seconds spare{60};
  options.request_deadline = in_ms(settings.admin.profile.longest) + spare;
  return options;
}

net::TraceOptions trace_options(const config::Settings& settings, telemetry::Tracer* tracer) {
  return {.tracer = tracer,
          .ratio = settings.trace.ratio / 100,
          .callers = settings.trace.callers,
          .per_second = settings.trace.per_second};
}

ProfileOptions profile_options(const config::Settings& settings,
                               const std::filesystem::path& data_dir) {
  using std::chrono::ceil;
  using std::chrono::seconds;
  const config::ProfileSettings& from = settings.admin.profile;
  return {.longest = ceil<seconds>(from.longest),
          .rate = from.rate,
          .stacks_max = from.stacks,
          .on_signal = ceil<seconds>(from.on_signal),
          .files_kept = from.files,
          .heap_interval = from.heap_interval,
          .heap_always = from.heap_always,
          .directory = data_dir / "profiles"};
}

/// Who waits for Kafka is not told yes to what Kafka never gets: headers, and what JSON makes of
/// times and units, must fit beside the record.
std::size_t record_bytes_max(const config::Settings& settings) {
  constexpr std::uint64_t message_more = 4 << 10;
  const std::uint64_t most = settings.ingest.record_bytes;
  if (settings.journal.ack != config::JournalAck::kafka) return most;
  return std::min(most, settings.kafka.message_bytes - message_more);
}

ingest::IntakeOptions intake_options(const config::Settings& settings) {
  ingest::IntakeOptions options;
  options.inflated_bytes_max = settings.limits.inflated_body;
  options.unknown_fields = settings.ingest.unknown_fields == config::UnknownFields::refuse
                               ? ingest::UnknownFields::refuse
                               : ingest::UnknownFields::keep;
  options.records_max = settings.ingest.request_records;
  options.record_bytes_max = record_bytes_max(settings);
  options.errors_max = settings.ingest.errors_listed;
  options.json_depth_max = settings.ingest.json_depth;
  options.object_fields_max = settings.ingest.object_fields;
  return options;
}

std::filesystem::path lane_schedule_path(const std::filesystem::path& data_dir,
                                         std::string_view sink_name) {
  return data_dir / "cursors" / fmt::format("{}.lanes", sink_name);
}

std::filesystem::path reached_path(const std::filesystem::path& data_dir,
                                   std::string_view sink_name) {
  return data_dir / "cursors" / fmt::format("{}.reached", sink_name);
}

std::filesystem::path cursor_bounds_path(const std::filesystem::path& data_dir,
                                         std::string_view sink_name) {
  return data_dir / "cursors" / fmt::format("{}.beyond", sink_name);
}

pipeline::SinkLanesOptions lane_options(const config::Settings& settings, std::string_view name,
                                        const config::SinkSettings& sink,
                                        const std::filesystem::path& data_dir) {
  const config::PipelineSettings& all = settings.pipeline;
  auto own_or = [](auto own, auto general) { return own == decltype(own){} ? general : own; };
  pipeline::SinkLanesOptions lanes;
  lanes.lanes = own_or(sink.lanes, all.lanes);
  lanes.schedule_file = lane_schedule_path(data_dir, name);
  lanes.reached_file = reached_path(data_dir, name);
  lanes.bounds_file = cursor_bounds_path(data_dir, name);
  pipeline::LaneOptions& options = lanes.each;
  options.batch_records = own_or(sink.batch_records, all.batch_records);
  options.batch_records_max = std::max(
      own_or(sink.batch_records_lagging, all.batch_records_lagging), options.batch_records);
  options.batch_delay = in_ms(own_or(sink.batch_delay, all.batch_delay));
  options.batch_bytes_max = own_or(sink.batch_bytes, all.batch_bytes);
  options.kinds = {{.kind = journal::RecordKind::qol_answer,
                    .records = all.qol_batch_records,
                    .delay = in_ms(all.qol_batch_delay),
                    .records_max = std::max(all.qol_batch_records_lagging, all.qol_batch_records)}};
  options.refusals_max = all.refusals_max;
  options.delivery_interval = in_ms(settings.pipeline.delivery_interval);
  options.idle_check = in_ms(settings.pipeline.idle_check);
  options.backoff.first = in_ms(settings.pipeline.retry_first);
  options.backoff.cap = in_ms(settings.pipeline.retry_max);
  options.background = sink.priority == config::SinkPriority::as_pipeline
                           ? all.background
                           : sink.priority == config::SinkPriority::background;
  options.give_way = give_way_options(settings);
  return lanes;
}

runtime::WorkerPoolOptions worker_options(const config::Settings& settings) {
  return {.name = "worker",
          .threads = settings.runtime.workers,
          .queue_max = settings.runtime.worker_queue};
}

storage::StoreOptions store_options(const config::Settings& settings,
                                    const std::filesystem::path& data_dir) {
  return {.url = settings.store.url,
          .data_dir = data_dir,
          .query_connections_max = settings.runtime.workers,
          .connect_timeout = in_ms(settings.store.connect_timeout),
          .statement_timeout = in_ms(settings.store.statement_timeout)};
}

net::AdmissionOptions admission_options(const config::Settings& settings) {
  const config::RateSettings& rate = settings.limits.rate;
  const config::ShedSettings& shed = settings.limits.shed;
  net::AdmissionOptions options;
  options.address = {.per_second = rate.per_second, .burst = rate.burst};
  options.all = {.per_second = rate.total_per_second, .burst = rate.total_burst};
  options.buckets_max = rate.addresses;
  options.ipv6_prefix = rate.ipv6_prefix;
  options.concurrent_max = shed.concurrent;
  options.queued_max = shed.queued;
  options.cpu_threshold = shed.cpu * 10;
  options.loop_lag_max = shed.loop_lag;
  options.commit_age_max = shed.commit_age;
  for (const config::RouteLimitSettings& one : settings.limits.routes) {
    options.routes.push_back({.prefix = one.prefix,
                              .address = {.per_second = one.per_second, .burst = one.burst},
                              .concurrent_max = one.concurrent,
                              .deadline = in_ms(one.deadline),
                              .body_bytes_max = one.body});
  }
  return options;
}

resilience::BreakerOptions breaker_options(const config::Settings& settings) {
  const config::BreakerSettings& from = settings.breaker;
  resilience::BreakerOptions options;
  options.kind = from.form == config::BreakerForm::ratio ? resilience::BreakerKind::ratio
                                                         : resilience::BreakerKind::adaptive;
  options.window = from.window;
  options.k = from.k / 100;
  options.floor = from.floor / 100;
  options.protection = from.protection;
  options.probe_interval = from.probe_interval;
  options.success_ratio = from.success / 100;
  options.calls_min = from.calls;
  options.open_for = from.open;
  return options;
}

unsigned shard_count(const config::Settings& settings) {
  return settings.runtime.shards > 0 ? settings.runtime.shards : runtime::usable_processors();
}

bool has_role(const config::Settings& settings, config::Role role) {
  return std::ranges::find(settings.roles, role) != settings.roles.end();
}

}  // namespace trialwire
