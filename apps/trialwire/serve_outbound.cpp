// SPDX-License-Identifier: Apache-2.0
#include "serve_outbound.hpp"

#include <chrono>
#include <utility>

namespace trialwire {
namespace {

std::chrono::milliseconds in_ms(config::Duration time) {
  return std::chrono::ceil<std::chrono::milliseconds>(time);
}

}  // namespace

outbound::HttpTargetOptions http_target_options(const config::ServiceSettings& settings,
                                                std::string name) {
  outbound::HttpTargetOptions options;
  options.name = std::move(name);
  options.files.ca = settings.ca;
  options.deadline = in_ms(settings.deadline);
  options.connect_timeout = in_ms(settings.connect_timeout);
  options.answer_bytes_max = settings.answer_bytes;
  options.concurrent_max = settings.concurrent;
  options.retries = settings.retries;
  options.backoff.first = in_ms(settings.retry_first);
  options.budget.share = settings.retry_budget / 100;
  options.budget.burst = settings.retry_burst;
  return options;
}

outbound::HttpTarget& OutboundService::add(
    outbound::HttpTargetOptions options, std::shared_ptr<const outbound::EndpointSource> endpoints,
    std::uint32_t failures_max) {
  if (!loop_) loop_ = std::make_unique<outbound::HttpLoop>();
  runtime::Guard& guard = guards_.add(options.name, failures_max);
  return targets_.emplace_back(std::move(options), std::move(endpoints), *loop_, guard, metrics_);
}

}  // namespace trialwire
