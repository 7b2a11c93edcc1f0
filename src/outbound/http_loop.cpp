// SPDX-License-Identifier: Apache-2.0
#include "outbound/http_loop.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <typeinfo>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "runtime/signals_blocked.hpp"
#include "telemetry/log.hpp"

namespace trialwire::outbound {
namespace {

using Clock = std::chrono::steady_clock;
using Work = std::move_only_function<void()>;

CURLM* make_multi() {
  static std::once_flag once;
  std::call_once(once, [] { TW_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
  CURLM* made = curl_multi_init();
  TW_CHECK(made != nullptr);
  return made;
}

}  // namespace

struct HttpLoop::State {
  State() : multi(make_multi()) {}
  ~State() { curl_multi_cleanup(multi); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void run() noexcept;
  bool run_posted();
  void run_due();
  void collect();
  void end_cancelled();
  void run_one(Work& work) noexcept;
  std::unique_ptr<Transfer> removed(CURL* handle);
  int pause_ms() const;

  CURLM* multi;
  std::mutex mutex;
  std::vector<Work> posted;  // under mutex
  bool ended = false;        // under mutex: nothing is posted any more
  std::atomic<bool> stopping{false};
  std::once_flag joined;
  std::thread thread;
  // The thread's own.
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> transfers;
  std::multimap<Clock::time_point, Work> waiting;
};

void HttpLoop::State::run_one(Work& work) noexcept {
  std::string_view type = "unknown";
  try {
    return work();
  } catch (const std::exception& error) {
    type = typeid(error).name();
  } catch (...) {
  }
  telemetry::log(telemetry::LogLevel::error, "outbound", "exception left a call's work",
                 {{"type", type}});
}

/// False: nothing is left to be done, ever.
bool HttpLoop::State::run_posted() {
  const bool last = stopping.load();
  std::vector<Work> all;
  {
    const std::lock_guard lock(mutex);
    all.swap(posted);
    if (last && all.empty() && transfers.empty() && waiting.empty()) {
      ended = true;
      return false;
    }
  }
  for (Work& work : all) run_one(work);
  return true;
}

void HttpLoop::State::run_due() {
  while (!waiting.empty() && (stopping.load() || waiting.begin()->first <= Clock::now())) {
    Work work = std::move(waiting.begin()->second);
    waiting.erase(waiting.begin());
    run_one(work);
  }
}

std::unique_ptr<Transfer> HttpLoop::State::removed(CURL* handle) {
  curl_multi_remove_handle(multi, handle);
  auto node = transfers.extract(handle);
  TW_CHECK(!node.empty());
  return std::move(node.mapped());
}

void HttpLoop::State::collect() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;  // the message goes with the handle
    const auto transfer = removed(message->easy_handle);
    Work finish = [&] { transfer->finish(code); };
    run_one(finish);
  }
}

void HttpLoop::State::end_cancelled() {
  std::vector<CURL*> cancelled;
  for (const auto& [handle, transfer] : transfers) {
    if (stopping.load() || transfer->is_cancelled()) cancelled.push_back(handle);
  }
  for (CURL* handle : cancelled) {
    const auto transfer = removed(handle);
    Work cancel = [&] { transfer->cancel(); };
    run_one(cancel);
  }
}

int HttpLoop::State::pause_ms() const {
  constexpr int idle_ms = 60'000;
  if (stopping.load()) return 0;
  if (waiting.empty()) return idle_ms;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(waiting.begin()->first - Clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, idle_ms));
}

void HttpLoop::State::run() noexcept {
  pthread_setname_np(pthread_self(), "outbound");
  while (run_posted()) {
    run_due();
    end_cancelled();
    int running = 0;
    curl_multi_perform(multi, &running);
    collect();
    curl_multi_poll(multi, nullptr, 0, pause_ms(), nullptr);
  }
}

HttpLoop::HttpLoop() : state_(std::make_unique<State>()) {
  const runtime::SignalsBlocked blocked;
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

HttpLoop::~HttpLoop() {
  stop();
}

bool HttpLoop::post(Work work) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->ended) return false;
    state_->posted.push_back(std::move(work));
  }
  wake();
  return true;
}

void HttpLoop::wake() noexcept {
  curl_multi_wakeup(state_->multi);
}

void HttpLoop::stop() {
  state_->stopping.store(true);
  wake();
  std::call_once(state_->joined, [this] { state_->thread.join(); });
}

void HttpLoop::begin(std::unique_ptr<Transfer> transfer) {
  CURL* handle = transfer->handle();
  state_->transfers.emplace(handle, std::move(transfer));
  TW_CHECK(curl_multi_add_handle(state_->multi, handle) == CURLM_OK);
}

void HttpLoop::after(std::chrono::nanoseconds wait, Work work) {
  state_->waiting.emplace(Clock::now() + wait, std::move(work));
}

bool HttpLoop::stopping() const noexcept {
  return state_->stopping.load();
}

}  // namespace trialwire::outbound
