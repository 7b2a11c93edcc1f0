// SPDX-License-Identifier: Apache-2.0
// The journal and its appenders, one a shard, as the server runs them.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "journal/journal.hpp"
#include "resilience/backlog_age.hpp"
#include "runtime/shard.hpp"

namespace trialwire {

class JournalService {
 public:
  /// Recovers or refuses, as Journal::open; then gives each shard, and the control shard, its
  /// appender, flushed at the end of each of its turns. Before the shards start. `commit_age_max`:
  /// 0 is no limit.
  static Result<std::unique_ptr<JournalService>> open(
      const journal::Options& options, journal::FileLayer& files,
      std::span<const std::unique_ptr<runtime::Shard>> shards, runtime::Shard& control,
      std::chrono::nanoseconds commit_age_max, telemetry::Registry& metrics);

  journal::Journal& journal() noexcept { return *journal_; }
  /// Of that shard; used on its thread only.
  journal::Appender& appender(unsigned shard) noexcept { return *ports_[shard]->appender; }
  /// Of the control shard; likewise.
  journal::Appender& control_appender() noexcept { return *ports_.back()->appender; }

  /// How long the oldest request of that shard has waited for its commit, and how many more may be
  /// taken (BacklogAge); on its thread only.
  std::int64_t commit_age_ns(unsigned shard, std::int64_t now_ns) const noexcept {
    return ages_[shard]->age_ns(now_ns);
  }
  std::uint64_t commit_room(unsigned shard, std::int64_t now_ns) noexcept {
    return ages_[shard]->room(now_ns);
  }

  /// When the disk fails, the process ends with exit code 70: nothing more is acknowledged.
  void start();
  void stop();

 private:
  explicit JournalService(std::unique_ptr<journal::Journal> journal)
      : journal_(std::move(journal)) {}
  journal::Journal::ShardPort& add_port(runtime::Shard& shard);

  std::unique_ptr<journal::Journal> journal_;
  std::vector<std::unique_ptr<journal::Journal::ShardPort>> ports_;  // the last: control's
  std::vector<std::unique_ptr<resilience::BacklogAge>> ages_;        // one a shard
};

}  // namespace trialwire
