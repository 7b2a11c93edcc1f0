// SPDX-License-Identifier: Apache-2.0
#include "ingest/kind_intake.hpp"

#include <utility>

#include "base/check.hpp"
#include "net/exchange.hpp"
#include "runtime/shard.hpp"

namespace trialwire::ingest {

IntakeShards::IntakeShards(const IntakeOptions& options,
                           std::span<journal::Appender* const> appenders) {
  for (journal::Appender* appender : appenders) {
    TW_CHECK(appender != nullptr);
    shards_.push_back(std::make_unique<IntakeShard>(options, *appender));
  }
}

struct KindIntake::PerShard {
  PerShard(IntakeShard& shard, const KindDecoder& decoder, std::span<const IntakePath> paths,
           telemetry::Registry& registry)
      : metrics(registry, decoder.label()) {
    for (const IntakePath& path : paths) {
      intakes.push_back(std::make_unique<Intake>(shard, decoder, path.form, metrics));
    }
  }

  IntakeMetrics metrics;
  std::vector<std::unique_ptr<Intake>> intakes;
};

KindIntake::KindIntake(std::unique_ptr<const KindDecoder> decoder,
                       std::span<const IntakePath> paths, IntakeShards& shards,
                       telemetry::Registry& registry)
    : decoder_(std::move(decoder)), paths_(paths) {
  for (std::size_t i = 0; i < shards.size(); ++i) {
    shards_.push_back(std::make_unique<PerShard>(shards[i], *decoder_, paths_, registry));
  }
}

KindIntake::~KindIntake() = default;

Intake& KindIntake::intake(std::size_t shard, std::size_t path) noexcept {
  TW_CHECK(shard < shards_.size() && path < paths_.size());
  return *shards_[shard]->intakes[path];
}

Result<void> KindIntake::add_routes(net::Router& router) {
  for (std::size_t path = 0; path < paths_.size(); ++path) {
    auto handler = [this, path](net::Exchange& exchange) {
      runtime::Shard& shard = exchange.shard();
      intake(shard.index(), path).handle(exchange, shard.unix_now_ns());
    };
    auto added = router.add(net::Method::post, paths_[path].path, handler,
                            {.scope = decoder_->scope(), .kind = net::RouteKind::intake});
    if (!added) return added;
  }
  return {};
}

}  // namespace trialwire::ingest
