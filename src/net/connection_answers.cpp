// SPDX-License-Identifier: Apache-2.0
// A connection's way from requests to answers.
#include <algorithm>
#include <exception>
#include <limits>
#include <string>
#include <typeinfo>
#include <utility>

#include "base/check.hpp"
#include "net/connection.hpp"
#include "telemetry/log.hpp"

namespace trialwire::net {
namespace {

void log_exception(const Route* route, std::string_view type) noexcept {
  std::string_view pattern = route == nullptr ? std::string_view("none") : route->pattern;
  telemetry::log(telemetry::LogLevel::error, "net", "exception left a handler",
                 {{"route", pattern}, {"type", type}});
}

/// Runs `work`; an exception is logged by its type alone, its text may quote the request.
template <typename Work>
bool guarded(const Route* route, HttpMetrics& metrics, Work work) noexcept {
  try {
    work();
    return true;
  } catch (const std::exception& error) {
    log_exception(route, typeid(error).name());
  } catch (...) {
    log_exception(route, "unknown");
  }
  metrics.handler_exceptions.add();
  return false;
}

constexpr std::string_view failed_text = "the server failed to answer this request";

std::string_view text_of(Refused reason) noexcept {
  switch (reason) {
    case Refused::rate_address:
      return "too many requests from this address";
    case Refused::rate_route:
      return "too many requests from this address for this path";
    case Refused::rate_all:
      return "too many requests";
    case Refused::concurrent:
    case Refused::queued:
    case Refused::route_concurrent:
      return "too many requests are under way";
    default:
      return "the server is overloaded";
  }
}

/// OPTIONS is answered wherever another method is.
std::string with_options(std::string_view methods) {
  std::string all(methods);
  all += all.empty() ? "OPTIONS" : ", OPTIONS";
  return all;
}

}  // namespace

/// Finds the route of the parsed head; how large its body may be.
std::size_t Connection::match_route() {
  Workspace& work = listener_.workspace();
  const ServerCore& core = listener_.core();
  // The next request is most often for what the last one was for.
  const Route* last = work.match.route;
  if (last == nullptr || !last->is_static || last->method != work.head.method ||
      last->pattern != work.head.path)
    work.match = core.router.match(work.head.method, work.head.path, work.params, work.param_text);
  const Route* route = work.match.route;
  if (route != nullptr && route->options.body_bytes_max != 0) return route->options.body_bytes_max;
  return core.options.body_bytes_max;
}

void Connection::dispatch(std::string_view body, bool last_of_read) {
  Workspace& work = listener_.workspace();
  const RequestHead& head = work.head;
  const Route* route = work.match.route;
  if (!head.keep_alive || (last_of_read && listener_.draining())) close_after_ = true;
  fill_request(body);
  std::size_t mark = work.output.size();
  Admitted admitted;
  bool deferred = false;
  if (let_in(admitted)) {
    if (route == nullptr) {
      answer_without_handler();
    } else if (head.has_timeout && head.timeout_ms == 0) {
      work.writer.problem_status(400, "Request-Timeout is not seconds, such as 2 or 0.5");
    } else if (const auth::Principal* principal = admit()) {
      deferred = hand_over(*principal, admitted);
    }
  }
  if (admitted.flying && !deferred) listener_.admission().left();
  if (admitted.limit != 0 && !deferred) listener_.admission().left_route(admitted.limit);
  settle(mark, deferred);
}

void Connection::fill_request(std::string_view body) noexcept {
  Workspace& work = listener_.workspace();
  listener_.exchange().forget();
  const RequestHead& head = work.head;
  const Route* route = work.match.route;
  work.request = {.method = head.method,
                  .method_text = head.method_text,
                  .path = head.path,
                  .query = head.query,
                  .route = route == nullptr ? std::string_view() : route->pattern,
                  .origin = info_.origin,
                  .headers = head.headers(),
                  .params = {work.params.data(), work.match.params},
                  .body = body,
                  .timeout_ms = patience_ms(),
                  .keep_alive = !close_after_,
                  .known = &head.known};
}

/// How long an answer is waited for by the client or at this route; the largest number: as long as
/// the server waits.
std::uint32_t Connection::patience_ms() noexcept {
  const Workspace& work = listener_.workspace();
  std::uint32_t patience = std::numeric_limits<std::uint32_t>::max();
  if (work.head.has_timeout) patience = work.head.timeout_ms;
  const Route* route = work.match.route;
  if (route != nullptr && route->options.deadline_ms != 0) [[unlikely]]
    patience = std::min(patience, route->options.deadline_ms);
  return patience;
}

/// Begins the answer; false: it is a refusal, and written.
bool Connection::let_in(Admitted& admitted) {
  const Route* route = listener_.workspace().match.route;
  runtime::Shard& shard = listener_.shard();
  admitted = listener_.admission().admit(
      {.kind = route == nullptr ? std::nullopt : std::optional(route->options.kind),
       .address = address_,
       .rate = std::exchange(rate_, std::nullopt),
       .limit = route == nullptr ? std::uint16_t{0} : route->options.limit},
      shard.now_ns(), shard.lag_ns());
  return begin_answer(admitted, close_after_);
}

bool Connection::begin_answer(const Admitted& admitted, bool close) {
  Workspace& work = listener_.workspace();
  const RequestHead& head = work.head;
  ResponseFraming framing{.head_only = head.method == Method::head,
                          .close = close,
                          .keep_alive_1_0 = !close && head.minor_version == 0 && head.keep_alive,
                          .retry_after_s = 1,
                          .lines = {}};
  if (admitted.rate.present) [[unlikely]] {
    AdmissionCommon& common = *listener_.core().admission;
    const RateLines& lines =
        admitted.refused == Refused::rate_route
            ? common.route_limit(work.match.route->options.limit).rates().lines()
            : common.lines();
    framing.lines = lines.write(admitted.rate, work.rate_lines);
  }
  if (admitted.refused != Refused::no) [[unlikely]]
    framing.retry_after_s = admitted.retry_after_s;
  work.writer.begin(framing, listener_.shard().unix_now_ns());
  if (admitted.refused == Refused::no) [[likely]]
    return true;
  const bool rate = admitted.refused == Refused::rate_address ||
                    admitted.refused == Refused::rate_all ||
                    admitted.refused == Refused::rate_route;
  work.writer.problem_status(rate ? 429 : 503, text_of(admitted.refused));
  return false;
}

/// Whom the request is from; null: it is refused, and answered.
const auth::Principal* Connection::admit() {
  Gate* gate = listener_.options().gate;
  if (gate == nullptr) return &auth::anonymous();
  Workspace& work = listener_.workspace();
  const Route* route = work.match.route;
  const auth::Principal* principal = nullptr;
  bool returned = guarded(route, listener_.metrics(), [&] {
    principal = gate->admit(work.request, *route, listener_.shard(), work.writer);
  });
  if (returned && (principal != nullptr || work.writer.finished())) return principal;
  work.writer.discard();
  work.writer.problem_status(500, failed_text);
  return nullptr;
}

/// So that a stranger cannot have bodies held here; behind the rate of his address, so that he
/// cannot have tokens verified either. False: answered, and the last of its connection.
bool Connection::admitted_before_its_body() {
  if (listener_.options().gate == nullptr) return true;
  Workspace& work = listener_.workspace();
  std::size_t mark = work.output.size();
  fill_request({});
  work.request.whole = false;
  const Admitted admitted = listener_.admission().admit_head(
      address_, work.match.route->options.limit, listener_.shard().now_ns());
  if (begin_answer(admitted, true) && admit() != nullptr) {
    rate_ = admitted.rate;
    return true;
  }
  close_after_ = true;
  linger_ = true;
  settle(mark, false);
  drop_input();
  return false;
}

void Connection::answer_without_handler() {
  Workspace& work = listener_.workspace();
  std::string_view allow = work.match.allow;
  const bool whole_server = work.head.path == "*";
  if (whole_server) allow = listener_.core().allow_any;
  if (work.head.method == Method::options && (whole_server || !allow.empty())) {
    work.writer.start(204).header("Allow", with_options(allow)).finish();
    return;
  }
  if (work.head.method == Method::other) {
    work.writer.problem_status(501, "the method is not implemented");
  } else if (!allow.empty()) {
    work.writer.not_allowed(with_options(allow));
  } else {
    work.writer.problem_status(404, "there is nothing at this path");
  }
}

void Connection::follow(HttpExchange& exchange) noexcept {
  const runtime::Shard& shard = listener_.shard();
  const std::int64_t began_unix_ns = shard.unix_now_ns() - (shard.now_ns() - read_ns_);
  const auto trace = listener_.traces().begin(exchange.request(), began_unix_ns, shard.now_ns());
  if (trace) exchange.follow(*trace);
}

/// To the handler, unless its route fails. True: the answer comes later.
bool Connection::hand_over(const auth::Principal& principal, const Admitted& admitted) {
  Workspace& work = listener_.workspace();
  const Route& route = *work.match.route;
  const std::int64_t now = listener_.shard().now_ns();
  const auto call = listener_.breakers().admit(route, now);
  if (call == resilience::Breaker::Call::refused) [[unlikely]] {
    work.writer.problem_status(503, "what answers this fails just now, and is tried now and then");
    return false;
  }
  if (call_handler(principal, admitted)) {
    AnswerSlot& slot = *listener_.exchange().deferred();
    slot.call = call;
    slot.hurried = hurried();
    return true;
  }
  listener_.breakers().ended(route, call, {.status = work.writer.status(), .started_ns = read_ns_},
                             now);
  return false;
}

/// The client waits less than the server would.
bool Connection::hurried() const noexcept {
  const RequestHead& head = listener_.workspace().head;
  if (!head.has_timeout) return false;
  const std::uint32_t own_ms = listener_.workspace().match.route->options.deadline_ms;
  const std::int64_t ours = own_ms != 0 ? std::int64_t{own_ms} * 1'000'000
                                        : listener_.timeouts().limit_ns(Timeout::deadline);
  return std::int64_t{head.timeout_ms} * 1'000'000 < ours;
}

/// True: the answer comes later; else it is written.
bool Connection::call_handler(const auth::Principal& principal, const Admitted& admitted) {
  Workspace& work = listener_.workspace();
  HttpExchange& exchange = listener_.exchange();
  const Route* route = work.match.route;
  exchange.begin(work.request, info_, principal, context_);
  if (listener_.traces().comes_up(work.request)) [[unlikely]]
    follow(exchange);
  bool returned = guarded(route, listener_.metrics(), [&] { route->handler(exchange); });
  if (AnswerSlot* slot = exchange.deferred()) {
    slot->route = route;
    slot->method = work.head.method;
    slot->head_only = work.head.method == Method::head;
    slot->close = close_after_;
    slot->keep_alive_1_0 = work.head.minor_version == 0 && work.head.keep_alive;
    slot->flying = admitted.flying;
    slot->limit = admitted.limit;
    slot->rate = admitted.rate;
    const std::uint32_t patience = work.request.timeout_ms;
    if (patience != std::numeric_limits<std::uint32_t>::max()) {
      context_->set_deadline(*slot, read_ns_ + std::int64_t{patience} * 1'000'000);
    }
    slot->trace = exchange.trace();
    if (!returned) context_->detach(*slot, 500);
    return true;
  }
  if (returned && work.writer.finished()) return false;
  if (returned) log_exception(route, "no answer");
  work.writer.discard();
  work.writer.problem_status(500, failed_text);
  return false;
}

/// After a request was handed over: an answer given now is counted, and waits behind a deferred
/// one.
void Connection::settle(std::size_t mark, bool deferred) {
  if (deferred) return;
  Workspace& work = listener_.workspace();
  const Route* route = work.match.route != nullptr ? work.match.route : work.match.of_path;
  const telemetry::RequestTrace* trace = listener_.exchange().trace();
  if (context_ == nullptr || context_->front() == nullptr) {
    answered({.route = route, .method = work.head.method, .status = work.writer.status()}, 0,
             trace);
    return;
  }
  AnswerSlot& slot = context_->add_slot();
  slot.text = context_->keep(work.output.view().substr(mark));
  slot.route = route;
  slot.method = work.head.method;
  slot.status = work.writer.status();
  slot.trace = trace;
  work.output.truncate(mark);
}

/// It is counted and, where it is traced, its span ends.
void Connection::answered(const RequestTraces::Answered& answer, double seconds,
                          const telemetry::RequestTrace* trace) {
  listener_.metrics().answered(answer.route, answer.method, answer.status, seconds, trace);
  if (trace != nullptr) [[unlikely]]
    RequestTraces::end(*trace, answer);
}

/// The last answer of this connection, to a request that cannot be understood or waited for.
void Connection::refuse(Refusal refusal) {
  Workspace& work = listener_.workspace();
  listener_.metrics().refused(refusal.status);
  close_after_ = true;
  linger_ = true;
  continue_due_ = false;
  std::size_t mark = work.output.size();
  work.writer.begin({.close = true}, listener_.shard().unix_now_ns());
  work.writer.problem_status(refusal.status, refusal.text);
  drop_input();
  if (context_ == nullptr || context_->front() == nullptr) return;
  AnswerSlot& slot = context_->add_slot();
  slot.text = context_->keep(work.output.view().substr(mark));
  work.output.truncate(mark);
}

/// Answers given before the first deferred one are in the shard's buffer, which others need while
/// this connection waits.
void Connection::hold_output() {
  ByteBuffer& output = listener_.workspace().output;
  if (output.empty()) return;
  std::string_view text = context_->keep(output.view());
  context_->add_slot(true).text = text;
  output.clear();
}

void Connection::arm_for_answers(std::int64_t since_ns) noexcept {
  Timeouts& timeouts = listener_.timeouts();
  const std::int64_t own = context_->next_deadline_ns();
  const std::int64_t limit = since_ns + timeouts.limit_ns(Timeout::deadline);
  const std::int64_t now = listener_.shard().now_ns();
  if (own == AnswerSlot::never && since_ns == now) {
    timeouts.arm(*this, Timeout::deadline, now);
  } else {
    timeouts.arm_until(*this, Timeout::deadline, std::min(own, limit));
  }
}

/// What is over its own deadline is 504 in its place; over the server's all that is missing is, and
/// the connection ends.
void Connection::give_up_answers(std::int64_t since_ns) {
  expired_ = false;
  const std::int64_t now = listener_.shard().now_ns();
  context_->detach_incomplete(504, now);
  if (now - since_ns < listener_.timeouts().limit_ns(Timeout::deadline)) return;
  std::size_t late = context_->detach_incomplete(504);
  if (late == 0) return;
  close_after_ = true;
  linger_ = true;
}

/// The client has gone: who looks at metrics and the log sees what it did not wait for as 499.
void Connection::count_abandoned() noexcept {
  const double seconds = static_cast<double>(listener_.shard().now_ns() - read_ns_) * 1e-9;
  for (AnswerSlot* slot = context_->front(); slot != nullptr; slot = slot->next) {
    end_call(*slot, 499);
    if (slot->detached || ReadContext::is_complete(*slot)) continue;
    answered({.route = slot->route, .method = slot->method, .status = 499}, seconds, slot->trace);
  }
}

/// Tells the route's breaker, once.
void Connection::end_call(AnswerSlot& slot, Status status) noexcept {
  constexpr auto told = resilience::Breaker::Call::refused;
  if (slot.call == told) return;
  const std::int64_t now = listener_.shard().now_ns();
  const RouteOutcome outcome{.status = status, .hurried = slot.hurried, .started_ns = read_ns_};
  listener_.breakers().ended(*slot.route, std::exchange(slot.call, told), outcome, now);
}

/// Writes the answers that are due to the shard's buffer. True: there are more, once these are
/// sent.
bool Connection::render() {
  ByteBuffer& output = listener_.workspace().output;
  if (context_ != nullptr) {
    while (AnswerSlot* slot = context_->front()) {
      if (output.size() > listener_.options().connection_unacknowledged_bytes_max) return true;
      render_slot(*slot);
      context_->pop();
    }
    context_->release();
    context_ = nullptr;
  }
  if (std::exchange(continue_due_, false) && !close_after_)
    output.append("HTTP/1.1 100 Continue\r\n\r\n");
  return false;
}

void Connection::render_slot(AnswerSlot& slot) {
  Workspace& work = listener_.workspace();
  runtime::Shard& shard = listener_.shard();
  Status status = slot.status;
  if (slot.answer == nullptr) {
    work.output.append(slot.text);
  } else {
    bool last = slot.next == nullptr;
    if (last && listener_.draining() && partial_ == Partial::none) close_after_ = true;
    Http1Writer& writer = work.writer;
    writer.begin({.head_only = slot.head_only,
                  .close = slot.close || (last && close_after_),
                  .keep_alive_1_0 = slot.keep_alive_1_0,
                  .retry_after_s = 1,
                  .lines = slot.rate.present ? listener_.core().admission->lines().write(
                                                   slot.rate, work.rate_lines)
                                             : std::string_view()},
                 shard.unix_now_ns());
    bool rendered = false;
    if (slot.detached) {
      writer.problem_status(slot.status, slot.status == 504
                                             ? "not answered in time: the outcome is unknown, retry"
                                             : failed_text);
    } else {
      rendered = guarded(slot.route, listener_.metrics(), [&] { slot.answer->render(writer); });
      if (!rendered || !writer.finished()) {
        writer.discard();
        writer.problem_status(500, failed_text);
      }
    }
    status = writer.status();
  }
  end_call(slot, status);
  if (slot.flying && !slot.detached) {
    slot.flying = false;
    if (status < 500) {
      listener_.admission().landed(shard.now_ns(), shard.now_ns() - read_ns_);
    } else {
      listener_.admission().left();
    }
  }
  if (slot.limit != 0 && !slot.detached) {
    listener_.admission().left_route(std::exchange(slot.limit, std::uint16_t{0}));
  }
  if (status == 0) return;  // counted when it was given
  answered({.route = slot.route, .method = slot.method, .status = status},
           static_cast<double>(shard.now_ns() - read_ns_) * 1e-9, slot.trace);
}

}  // namespace trialwire::net
