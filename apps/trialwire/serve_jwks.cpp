// SPDX-License-Identifier: Apache-2.0
#include "serve_jwks.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "auth/options.hpp"
#include "outbound/endpoints.hpp"
#include "telemetry/log.hpp"

namespace trialwire {
namespace {

using Clock = std::chrono::steady_clock;
using telemetry::log;
using telemetry::LogLevel;

struct JwksTarget {
  outbound::HttpTargetOptions options;
  std::shared_ptr<const outbound::EndpointSource> endpoints;
  std::string target;
};

Result<JwksTarget> target_of(const config::Settings& settings) {
  auto url = outbound::parse_http_url(settings.auth.jwt.jwks_url);
  if (!url) return fail(url.error().code, fmt::format("auth.jwt.jwks_url {}", url.error().text));
  JwksTarget made{
      http_target_options(settings.services, "jwks"),
      std::make_shared<outbound::FixedEndpoints>(outbound::EndpointList{std::move(url->endpoint)}),
      std::move(url->target)};
  made.options.tls = url->tls;
  made.options.proxy = settings.services.proxy;
  made.options.answer_bytes_max = auth::key_file_bytes_max;
  return made;
}

outbound::HttpRequest jwks_request(const std::string& target) {
  return {.target = target, .headers = {{"Accept", "application/jwk-set+json, application/json"}}};
}

Result<std::string> body_of(Result<outbound::HttpResponse> answer) {
  if (!answer) return std::unexpected(answer.error());
  constexpr unsigned ok = 200;
  if (answer->status == ok) return std::move(answer->body);
  return fail(ErrorCode::unavailable, fmt::format("jwks: it answers {}", answer->status));
}

telemetry::Counter& fetches(telemetry::Registry& metrics, const char* result) {
  return metrics.counter("trialwire_auth_jwks_fetches_total",
                         "Times that a JWKS was fetched, by what became of it.",
                         {{"result", result}});
}

}  // namespace

struct JwksService::State {
  explicit State(telemetry::Registry& metrics)
      : taken(fetches(metrics, "ok")),
        unchanged(fetches(metrics, "unchanged")),
        unused(fetches(metrics, "failed")) {}

  mutable std::mutex mutex;  // of all that follows
  bool under_way = false;
  Clock::time_point next = Clock::now();
  Clock::time_point begun;  // the last one
  Clock::time_point fetched;
  bool have = false;
  unsigned failures = 0;  // in a row
  std::string trouble;
  telemetry::Counter& taken;
  telemetry::Counter& unchanged;
  telemetry::Counter& unused;
};

JwksService::JwksService(const config::Settings& settings, std::string target,
                         outbound::HttpTarget& from, auth::KeyRing& keys,
                         telemetry::Registry& metrics)
    : refresh_(settings.auth.jwt.jwks_refresh),
      refresh_min_(settings.auth.jwt.jwks_refresh_min),
      target_(std::move(target)),
      from_(from),
      keys_(keys),
      state_(std::make_shared<State>(metrics)) {
  metrics.observe("trialwire_auth_jwks_age_seconds",
                  "Since the JWKS was last fetched and could be used; absent: it never was.", {},
                  [state = state_] {
                    const std::lock_guard lock(state->mutex);
                    if (!state->have) return std::numeric_limits<double>::quiet_NaN();
                    return std::chrono::duration<double>(Clock::now() - state->fetched).count();
                  });
  metrics.observe("trialwire_auth_jwks_current",
                  "1: the JWKS that was last asked for is in force; 0: it did not come, or could "
                  "not be used.",
                  {}, [state = state_] {
                    const std::lock_guard lock(state->mutex);
                    return state->have && state->trouble.empty() ? 1.0 : 0.0;
                  });
  metrics.gauge("trialwire_auth_jwks_refresh_seconds", "How often the JWKS is fetched.")
      .set(std::chrono::duration<double>(refresh_).count());
}

Result<std::unique_ptr<JwksService>> JwksService::make(OutboundService& outbound,
                                                       auth::KeyRing& keys,
                                                       telemetry::Registry& metrics) {
  auto target = target_of(outbound.settings());
  if (!target) return std::unexpected(target.error());
  // Calls are so few that a window never holds as many failures as are let pass elsewhere.
  auto& from = outbound.add(std::move(target->options), std::move(target->endpoints), 0);
  return std::unique_ptr<JwksService>(
      new JwksService(outbound.settings(), std::move(target->target), from, keys, metrics));
}

outbound::HttpRequest JwksService::request() const {
  return jwks_request(target_);
}

void JwksService::fetch_first() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->under_way = true;
    state_->begun = Clock::now();
  }
  arrived(from_.call(request()));
}

void JwksService::tick() {
  const Clock::time_point now = Clock::now();
  {
    const std::lock_guard lock(state_->mutex);
    const bool asked_for = keys_.missed() && now - state_->begun >= refresh_min_;
    if (state_->under_way || (now < state_->next && !asked_for)) return;
    state_->under_way = true;
    state_->begun = now;
  }
  keys_.look_for_missed();  // from here on: who misses a key now may miss it in what comes
  auto started = from_.start(
      request(), [this](Result<outbound::HttpResponse> answer) { arrived(std::move(answer)); });
  if (!started) postponed();
}

void JwksService::arrived(Result<outbound::HttpResponse> answer) {
  auto body = body_of(std::move(answer));
  if (!body) return failed(body.error().text);
  auto taken = keys_.take_set(*body);
  if (!taken) return failed(taken.error().text);
  const std::lock_guard lock(state_->mutex);
  (*taken ? state_->taken : state_->unchanged).add();
  state_->under_way = false;
  state_->fetched = Clock::now();
  state_->next = state_->fetched + refresh_;
  state_->have = true;
  state_->failures = 0;
  state_->trouble.clear();
}

/// The breaker is open, or it stops: nothing was asked.
void JwksService::postponed() {
  constexpr std::chrono::nanoseconds pause = std::chrono::milliseconds(200);
  const std::lock_guard lock(state_->mutex);
  state_->under_way = false;
  state_->next = Clock::now() + std::min<std::chrono::nanoseconds>(pause, refresh_min_);
}

/// Asked again soon, and less and less so; what stays wrong is said once.
void JwksService::failed(const std::string& reason) {
  constexpr std::chrono::nanoseconds first = std::chrono::seconds(1);
  constexpr unsigned doublings_max = 20;
  bool said = false;
  bool have = false;
  {
    const std::lock_guard lock(state_->mutex);
    state_->unused.add();
    state_->under_way = false;
    const auto wait = first * (1U << std::min(state_->failures, doublings_max));
    state_->next = Clock::now() + std::min<std::chrono::nanoseconds>(wait, refresh_min_);
    ++state_->failures;
    said = std::exchange(state_->trouble, reason) == reason;
    have = state_->have;
  }
  if (said) return;
  log(LogLevel::warn, "auth",
      have ? "keys could not be fetched: those of before stay in force"
           : "keys could not be fetched: tokens that they have signed are refused",
      {{"reason", std::string_view(reason)}});
}

ReadinessCheck JwksService::readiness() const {
  const bool any = !keys_.keys()->keys.empty();
  const std::lock_guard lock(state_->mutex);
  const bool ok = state_->have && state_->trouble.empty();
  std::string detail = "not fetched yet";
  if (state_->have) {
    const auto age = std::chrono::floor<std::chrono::seconds>(Clock::now() - state_->fetched);
    detail = fmt::format("fetched {} s ago", age.count());
  }
  if (!state_->trouble.empty()) detail += ": " + state_->trouble;
  // Without any key each request is refused: others may do better.
  return {"jwks", ok, !any, std::move(detail)};
}

Result<std::string> fetch_jwks(const config::Settings& settings) {
  auto made = target_of(settings);
  if (!made) return std::unexpected(made.error());
  telemetry::Registry metrics;
  outbound::HttpLoop loop;
  runtime::Guard guard("jwks", {}, metrics);
  outbound::HttpTarget target(std::move(made->options), std::move(made->endpoints), loop, guard,
                              metrics);
  return body_of(target.call(jwks_request(made->target)));
}

}  // namespace trialwire
