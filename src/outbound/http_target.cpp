// SPDX-License-Identifier: Apache-2.0
#include "outbound/http_target.hpp"

#include <algorithm>
#include <future>
#include <optional>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/check.hpp"
#include "outbound/metrics.hpp"
#include "resilience/endpoint_choice.hpp"

namespace trialwire::outbound {
namespace {

using Clock = std::chrono::steady_clock;
using resilience::EndpointState;

std::int64_t ns_of(Clock::time_point at) {
  return std::chrono::nanoseconds(at.time_since_epoch()).count();
}

bool is_plain(std::string_view text, unsigned char first) {
  return std::ranges::none_of(text, [first](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < first || byte == 0x7f;
  });
}

/// Nothing in it ends a line or begins another part of a request.
bool is_sound(const HttpRequest& request) {
  const bool headers = std::ranges::all_of(request.headers, [](const auto& header) {
    return !header.first.empty() && header.first.find(':') == std::string::npos &&
           is_plain(header.first, 0x21) && is_plain(header.second, 0x20);
  });
  return headers && request.target.starts_with('/') && is_plain(request.target, 0x21) &&
         is_plain(request.traceparent, 0x21);
}

Outcome outcome_of(const TransferResult& result) {
  switch (result.end) {
    case TransferEnd::answered:
    case TransferEnd::reader_ended:
      break;
    case TransferEnd::unreachable:
      return Outcome::unreachable;
    case TransferEnd::not_trusted:
      return Outcome::not_trusted;
    case TransferEnd::cut_off:
      return Outcome::cut_off;
    case TransferEnd::timed_out:
      return Outcome::timeout;
    case TransferEnd::too_large:
      return Outcome::too_large;
    case TransferEnd::cancelled:
      return Outcome::cancelled;
  }
  if (result.response.status >= 500) return Outcome::status_5xx;
  return result.response.status >= 400 ? Outcome::status_4xx : Outcome::answered;
}

ErrorCode code_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::timeout:
      return ErrorCode::deadline_exceeded;
    case Outcome::too_large:
      return ErrorCode::payload_too_large;
    case Outcome::cancelled:
      return ErrorCode::cancelled;
    default:
      return ErrorCode::unavailable;
  }
}

bool is_good(Outcome outcome) {
  return outcome == Outcome::answered || outcome == Outcome::status_4xx;
}

struct KnownEndpoint {
  Endpoint where;
  EndpointState state;
};

struct Call {
  Call(HttpRequest what, HttpTarget::Done then, std::shared_ptr<CallCounts> of)
      : request(std::move(what)), done(std::move(then)), counts(std::move(of)) {}
  ~Call() { leave(); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// No longer under way: who is told that it has ended may make the next one.
  void leave() noexcept {
    if (std::exchange(under_way, false)) counts->in_flight.fetch_sub(1);
  }

  HttpRequest request;
  HttpTarget::Done done;
  std::shared_ptr<CallCounts> counts;
  std::optional<runtime::Guard::Call> permit;
  std::shared_ptr<KnownEndpoint> endpoint;  // of the attempt; the list may change meanwhile
  Clock::time_point began;
  Clock::time_point attempt_began;
  Clock::time_point deadline;
  std::uint32_t attempts = 0;
  bool under_way = true;
  bool streams = false;  // its answer has begun: breaker and balancer have been told
  std::optional<std::stop_callback<std::function<void()>>> wakes;
};
using CallPointer = std::shared_ptr<Call>;  // shared by the transfer's two callbacks

}  // namespace

struct HttpTarget::State : std::enable_shared_from_this<HttpTarget::State> {
  State(HttpTargetOptions of, std::shared_ptr<const EndpointSource> where, HttpLoop& on,
        runtime::Guard& by, telemetry::Registry& metrics)
      : options(std::move(of)),
        source(std::move(where)),
        loop(on),
        guard(by),
        budget(options.budget),
        random(std::random_device{}()),
        counts(std::make_shared<CallCounts>()),
        seconds(call_seconds(options.name, metrics)) {
    counts->retries_left.store(options.budget.burst);
    show(options.name, counts,
         {.concurrent_max = options.concurrent_max,
          .retries_max = options.budget.burst,
          .answer_bytes_max = options.answer_bytes_max},
         metrics);
  }

  std::unexpected<Error> error(ErrorCode code, std::string_view why) const {
    return fail(code, fmt::format("{}: {}", options.name, why));
  }

  void begin(const CallPointer& call);
  void attempt(const CallPointer& call);
  void answer_begins(Call& call);
  void ended(const CallPointer& call, TransferResult result);
  bool may_repeat(const Call& call, const TransferResult& result) const;
  bool repeat(const CallPointer& call, const TransferResult& result);
  void finish(Call& call, Outcome outcome, Result<HttpResponse> result);
  bool choose_endpoint(Call& call, std::int64_t now_ns);
  void leave_endpoint(Call& call, Outcome outcome, Clock::time_point now);

  const HttpTargetOptions options;
  const std::shared_ptr<const EndpointSource> source;
  HttpLoop& loop;
  runtime::Guard& guard;
  // The loop's thread alone, but for the counts.
  resilience::RetryBudget budget;
  std::minstd_rand random;
  std::shared_ptr<const EndpointList> list;
  std::vector<std::shared_ptr<KnownEndpoint>> endpoints;
  std::shared_ptr<CallCounts> counts;  // shared with a scrape
  telemetry::Histogram& seconds;
};

/// Those that stay keep what is known of them.
bool HttpTarget::State::choose_endpoint(Call& call, std::int64_t now_ns) {
  if (auto now = source->endpoints(); now != list) {
    std::vector<std::shared_ptr<KnownEndpoint>> next;
    for (const Endpoint& where : *now) {
      auto same = std::ranges::find_if(endpoints, [&](const auto& e) { return e->where == where; });
      next.push_back(same != endpoints.end() ? *same : std::make_shared<KnownEndpoint>(where));
    }
    endpoints = std::move(next);
    list = std::move(now);
    counts->endpoints.store(static_cast<std::uint32_t>(endpoints.size()));
  }
  if (endpoints.empty()) return false;
  std::vector<EndpointState*> states;
  for (const auto& each : endpoints) states.push_back(&each->state);
  const std::size_t chosen = resilience::choose(states, now_ns, [this](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  });
  call.endpoint = endpoints[chosen];
  resilience::begin(call.endpoint->state);
  return true;
}

void HttpTarget::State::leave_endpoint(Call& call, Outcome outcome, Clock::time_point now) {
  if (!call.endpoint) return;
  const auto endpoint = std::exchange(call.endpoint, nullptr);
  if (outcome == Outcome::cancelled) return resilience::withdraw(endpoint->state);
  resilience::end(endpoint->state, ns_of(now), (now - call.attempt_began).count(),
                  is_good(outcome));
}

void HttpTarget::State::begin(const CallPointer& call) {
  budget.called(ns_of(Clock::now()));
  counts->retries_left.store(budget.left(ns_of(Clock::now())));
  attempt(call);
}

void HttpTarget::State::attempt(const CallPointer& call) {
  const Clock::time_point now = Clock::now();
  if (loop.stopping() || call->request.stop.stop_requested()) {
    return finish(*call, Outcome::cancelled, error(ErrorCode::cancelled, "it was cancelled"));
  }
  if (now >= call->deadline) {
    return finish(*call, Outcome::timeout, error(ErrorCode::deadline_exceeded, "no time is left"));
  }
  if (!choose_endpoint(*call, ns_of(now))) {
    return finish(*call, Outcome::busy, error(ErrorCode::unavailable, "no server is known"));
  }
  ++call->attempts;
  call->attempt_began = now;
  const TransferOptions transfer{
      .tls = options.tls,
      .files = options.files,
      .proxy = options.proxy,
      .timeout = std::chrono::ceil<std::chrono::milliseconds>(call->deadline - now),
      .connect_timeout = options.connect_timeout,
      .answer_bytes_max = options.answer_bytes_max};
  loop.begin(std::make_unique<Transfer>(
      transfer, call->endpoint->where, call->request,
      [self = shared_from_this(), call] { self->answer_begins(*call); },
      [self = shared_from_this(), call](TransferResult result) {
        self->ended(call, std::move(result));
      }));
}

void HttpTarget::State::answer_begins(Call& call) {
  call.streams = true;
  leave_endpoint(call, Outcome::answered, Clock::now());
  if (call.permit) call.permit->succeeded();
}

bool HttpTarget::State::may_repeat(const Call& call, const TransferResult& result) const {
  if (call.attempts > options.retries || call.request.on_body) return false;
  if (result.end == TransferEnd::unreachable) return true;
  if (call.request.method == HttpMethod::post && !call.request.repeatable) return false;
  if (result.end == TransferEnd::cut_off) return true;
  const unsigned status = result.response.status;
  return result.end == TransferEnd::answered && (status == 502 || status == 503 || status == 504);
}

/// True: it goes on, later.
bool HttpTarget::State::repeat(const CallPointer& call, const TransferResult& result) {
  const Clock::time_point now = Clock::now();
  const double chance = std::uniform_real_distribution<double>(0.0, 1.0)(random);
  const auto wait = resilience::backoff(options.backoff, call->attempts, chance);
  if (!may_repeat(*call, result) || loop.stopping() || now + wait >= call->deadline) return false;
  if (!budget.take(ns_of(now))) {
    counts->retries_refused.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  counts->retries_left.store(budget.left(ns_of(now)));
  auto permit = guard.begin();
  if (!permit) return false;
  call->permit.emplace(std::move(permit));
  counts->retries.fetch_add(1, std::memory_order_relaxed);
  loop.after(wait, [self = shared_from_this(), call] { self->attempt(call); });
  return true;
}

void HttpTarget::State::ended(const CallPointer& call, TransferResult result) {
  const Clock::time_point now = Clock::now();
  const Outcome outcome = outcome_of(result);
  leave_endpoint(*call, outcome, now);
  if (call->permit && !call->streams) {
    if (outcome == Outcome::cancelled) {
      call->permit->withdraw();
    } else if (is_good(outcome)) {
      call->permit->succeeded();
    } else {
      call->permit->failed();
    }
  }
  call->permit.reset();
  if (!is_good(outcome) && repeat(call, result)) return;
  const bool answered =
      result.end == TransferEnd::answered || result.end == TransferEnd::reader_ended;
  if (answered) return finish(*call, outcome, std::move(result.response));
  finish(*call, outcome, error(code_of(outcome), result.reason));
}

void HttpTarget::State::finish(Call& call, Outcome outcome, Result<HttpResponse> result) {
  counts->count(outcome);
  seconds.observe(std::chrono::duration<double>(Clock::now() - call.began).count());
  call.wakes.reset();
  call.permit.reset();
  call.leave();
  auto done = std::move(call.done);
  done(std::move(result));
}

HttpTarget::HttpTarget(HttpTargetOptions options, std::shared_ptr<const EndpointSource> endpoints,
                       HttpLoop& loop, runtime::Guard& guard, telemetry::Registry& metrics)
    : state_(std::make_shared<State>(std::move(options), std::move(endpoints), loop, guard,
                                     metrics)) {}

HttpTarget::~HttpTarget() = default;

Result<void> HttpTarget::start(HttpRequest request, Done done) {
  State& state = *state_;
  if (!is_sound(request)) {
    return state.error(ErrorCode::invalid_argument, "the request has characters that it may not");
  }
  if (state.counts->in_flight.fetch_add(1) >= state.options.concurrent_max) {
    state.counts->in_flight.fetch_sub(1);
    state.counts->count(Outcome::busy);
    return state.error(ErrorCode::overloaded, "too many calls are under way");
  }
  auto call = std::make_shared<Call>(std::move(request), std::move(done), state.counts);
  auto permit = state.guard.begin();
  if (!permit) {
    state.counts->count(Outcome::breaker_open);
    return state.error(ErrorCode::unavailable, "it fails, and is called only now and then");
  }
  call->permit.emplace(std::move(permit));
  call->began = Clock::now();
  const auto own = call->request.deadline;
  call->deadline = call->began + (own.count() > 0 ? own : state.options.deadline);
  if (call->request.stop.stop_possible()) {
    call->wakes.emplace(call->request.stop, [&loop = state.loop] { loop.wake(); });
  }
  if (!state.loop.post([state = state_, call = std::move(call)] { state->begin(call); })) {
    state.counts->count(Outcome::cancelled);
    return state.error(ErrorCode::cancelled, "it was cancelled");
  }
  return {};
}

Result<HttpResponse> HttpTarget::call(HttpRequest request) {
  // Shared: the one who waits may be gone while the promise is still being kept.
  auto promise = std::make_shared<std::promise<Result<HttpResponse>>>();
  auto future = promise->get_future();
  auto started = start(std::move(request), [promise](Result<HttpResponse> result) {
    promise->set_value(std::move(result));
  });
  if (!started) return std::unexpected(started.error());
  return future.get();
}

}  // namespace trialwire::outbound
