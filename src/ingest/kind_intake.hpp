// SPDX-License-Identifier: Apache-2.0
// The intake of one kind of record on all shards and on each of its paths. Made at start, before
// the server whose router refers to it, and kept longer than that. Shards share nothing but what
// never changes.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "ingest/intake.hpp"
#include "ingest/kind.hpp"
#include "journal/appender.hpp"
#include "net/router.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::ingest {

/// What each shard works with, the same for every kind; outlives the intakes.
class IntakeShards {
 public:
  /// `appenders[i]` is the one of the shard whose index is i.
  IntakeShards(const IntakeOptions& options, std::span<journal::Appender* const> appenders);
  std::size_t size() const noexcept { return shards_.size(); }
  IntakeShard& operator[](std::size_t shard) noexcept { return *shards_[shard]; }

 private:
  std::vector<std::unique_ptr<IntakeShard>> shards_;
};

/// Both static.
struct IntakePath {
  std::string_view path;
  AnswerForm form;
};

class KindIntake {
 public:
  KindIntake(std::unique_ptr<const KindDecoder> decoder, std::span<const IntakePath> paths,
             IntakeShards& shards, telemetry::Registry& registry);
  ~KindIntake();
  KindIntake(const KindIntake&) = delete;
  KindIntake& operator=(const KindIntake&) = delete;

  std::span<const IntakePath> paths() const noexcept { return paths_; }
  /// The intake of `paths()[path]` on a shard, for that shard's thread.
  Intake& intake(std::size_t shard, std::size_t path) noexcept;

  /// Errors: those of Router::add.
  Result<void> add_routes(net::Router& router);

 private:
  struct PerShard;
  std::unique_ptr<const KindDecoder> decoder_;
  std::span<const IntakePath> paths_;
  std::vector<std::unique_ptr<PerShard>> shards_;
};

}  // namespace trialwire::ingest
