// SPDX-License-Identifier: Apache-2.0
#include "serve_journal.hpp"

#include <cstdlib>

#include "exit_code.hpp"
#include "telemetry/log.hpp"

namespace trialwire {
namespace {

/// Recovery is the next start's: it trusts only what is proven durable.
[[noreturn]] void end_process(const Error& error) noexcept {
  telemetry::log(telemetry::LogLevel::error, "journal",
                 "the disk failed; nothing more is acknowledged, the process ends",
                 {{"code", traits(error.code).label}, {"reason", error.text}});
  telemetry::flush_log();
  std::quick_exit(exit_disk_failed);
}

}  // namespace

Result<std::unique_ptr<JournalService>> JournalService::open(
    const journal::Options& options, journal::FileLayer& files,
    std::span<const std::unique_ptr<runtime::Shard>> shards, runtime::Shard& control,
    std::chrono::nanoseconds commit_age_max, telemetry::Registry& metrics) {
  auto opened = journal::Journal::open(options, files, metrics);
  if (!opened) return std::unexpected(opened.error());
  std::unique_ptr<JournalService> service(new JournalService(std::move(*opened)));
  for (const auto& shard : shards) {
    auto& port = service->add_port(*shard);
    auto& age = service->ages_.emplace_back(
        std::make_unique<resilience::BacklogAge>(commit_age_max.count()));
    shard->at_turn_end([&shard = *shard, &port, &age = *age] {
      port.appender->flush();
      const auto progress = port.appender->progress();
      age.at(progress.handed_over, progress.settled, shard.now_ns());
    });
  }
  auto& port = service->add_port(control);
  control.at_turn_end([&port] { port.appender->flush(); });
  return service;
}

journal::Journal::ShardPort& JournalService::add_port(runtime::Shard& shard) {
  auto& port = *ports_.emplace_back(std::make_unique<journal::Journal::ShardPort>());
  port = journal_->add_shard([&shard, &port] { shard.post([&port] { port.deliver(); }); });
  return port;
}

void JournalService::start() {
  journal_->start(end_process);
}

void JournalService::stop() {
  journal_->stop();
}

}  // namespace trialwire
