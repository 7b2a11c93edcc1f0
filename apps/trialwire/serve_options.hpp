// SPDX-License-Identifier: Apache-2.0
// Settings as the options of each module: the only place where the two meet.
#pragma once
#include <filesystem>

#include "archive/archiver.hpp"
#include "config/settings.hpp"
#include "ingest/options.hpp"
#include "journal/journal.hpp"
#include "net/admission_options.hpp"
#include "net/server.hpp"
#include "pipeline/sink_lanes.hpp"
#include "profile_service.hpp"
#include "resilience/breaker.hpp"
#include "runtime/worker_pool.hpp"
#include "storage/sql/store.hpp"
#include "telemetry/log.hpp"

namespace trialwire {

telemetry::LogOptions log_options(const config::Settings& settings);
archive::ArchiverOptions archiver_options(const config::Settings& settings);
/// "file:/var/lib/trialwire/archive"; empty when there is no archive.
std::string archive_url(const config::Settings& settings, const std::filesystem::path& data_dir);
journal::Options journal_options(const config::Settings& settings,
                                 const std::filesystem::path& directory);
net::ServerOptions http_options(const config::Settings& settings);
net::ServerOptions admin_options(const config::Settings& settings);
ingest::IntakeOptions intake_options(const config::Settings& settings);
/// Which lane of the sink a record is of; see pipeline/lane_schedule.hpp.
std::filesystem::path lane_schedule_path(const std::filesystem::path& data_dir,
                                         std::string_view sink_name);
/// Where it is noted how far the sink was.
std::filesystem::path reached_path(const std::filesystem::path& data_dir,
                                   std::string_view sink_name);
/// Up to where it can be, while it is not found there; see pipeline/cursor_bounds.hpp.
std::filesystem::path cursor_bounds_path(const std::filesystem::path& data_dir,
                                         std::string_view sink_name);
/// `name` is the sink's, `sink` what the settings say of that one.
pipeline::SinkLanesOptions lane_options(const config::Settings& settings, std::string_view name,
                                        const config::SinkSettings& sink,
                                        const std::filesystem::path& data_dir);
runtime::WorkerPoolOptions worker_options(const config::Settings& settings);
storage::StoreOptions store_options(const config::Settings& settings,
                                    const std::filesystem::path& data_dir);
/// Without what it asks others, which the wiring adds.
net::AdmissionOptions admission_options(const config::Settings& settings);
net::TraceOptions trace_options(const config::Settings& settings, telemetry::Tracer* tracer);
ProfileOptions profile_options(const config::Settings& settings,
                               const std::filesystem::path& data_dir);
resilience::BreakerOptions breaker_options(const config::Settings& settings);
unsigned shard_count(const config::Settings& settings);
bool has_role(const config::Settings& settings, config::Role role);

}  // namespace trialwire
