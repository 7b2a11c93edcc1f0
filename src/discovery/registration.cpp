// SPDX-License-Identifier: Apache-2.0
#include "discovery/registration.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <utility>

#include <fmt/format.h>

#include "runtime/signals_blocked.hpp"
#include "telemetry/log.hpp"

namespace trialwire::discovery {

using telemetry::log;
using telemetry::LogLevel;

struct Registration::Shared {
  mutable std::mutex mutex;
  RegistrationState state;  // under mutex
  std::atomic<std::uint64_t> leases{0};
  std::atomic<std::uint64_t> restored{0};
  std::atomic<std::uint64_t> failures{0};
};

Registration::Registration(RegistrationOptions options, outbound::HttpTarget& target,
                           telemetry::Registry& metrics)
    : options_(std::move(options)), target_(target), shared_(std::make_shared<Shared>()) {
  for (const std::string& name : options_.names) {
    metrics.observe("trialwire_discovery_registered", "1: etcd has this process by that name.",
                    {{"name", name}}, [shared = shared_] {
                      const std::lock_guard lock(shared->mutex);
                      return shared->state.registered ? 1.0 : 0.0;
                    });
  }
  const auto count = [&](const char* name, const char* help,
                         std::atomic<std::uint64_t> Shared::* counter) {
    metrics.observe_total(name, help, {}, [shared = shared_, counter] {
      return static_cast<double>(((*shared).*counter).load());
    });
  };
  count("trialwire_discovery_leases_total", "Leases that etcd granted: one, and one for each lost.",
        &Shared::leases);
  count("trialwire_discovery_keys_restored_total", "Keys that were missing and were put back.",
        &Shared::restored);
  count("trialwire_discovery_failures_total", "Times that etcd did not do what it was asked.",
        &Shared::failures);
  metrics.gauge("trialwire_discovery_ttl_seconds", "Time of a lease without a sign of life.")
      .set(static_cast<double>(options_.ttl.count()));
}

Registration::~Registration() {
  stop();
}

void Registration::start() {
  const runtime::SignalsBlocked blocked;
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void Registration::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

RegistrationState Registration::state() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->state;
}

void Registration::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "registration");
  EtcdClient etcd(options_.etcd, target_, stop);
  std::mutex mutex;
  std::condition_variable_any wake;
  while (!stop.stop_requested()) {
    const auto pause = look(etcd);
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, pause, [] { return false; });
  }
  if (lease_ == 0) return;
  // Its own calls end with `stop`; this one is the last.
  EtcdClient last(options_.etcd, target_, {});
  if (auto left = last.revoke(lease_, options_.leave_within); left) {
    log(LogLevel::info, "discovery", "no longer registered", {{"lease", lease_}});
  } else {
    log(LogLevel::warn, "discovery", "could not take the registration back: it ends with its lease",
        {{"lease", lease_}, {"reason", std::string_view(left.error().text)}});
  }
  const std::lock_guard lock(shared_->mutex);
  shared_->state = {};
}

/// How long until it looks again.
std::chrono::milliseconds Registration::look(EtcdClient& etcd) {
  auto done = lease_ == 0 ? enter(etcd) : restore(etcd);
  if (!done && done.error().code == ErrorCode::not_found) {
    log(LogLevel::warn, "discovery", "the lease is no more: registering anew", {{"lease", lease_}});
    lease_ = 0;
    is_out(done.error());
    done = enter(etcd);
  }
  if (!done) {
    is_out(done.error());
    return options_.retry;
  }
  is_in(lease_);
  return std::chrono::milliseconds(options_.ttl) / 3;
}

Result<void> Registration::enter(EtcdClient& etcd) {
  auto granted = etcd.grant(options_.ttl);
  if (!granted) return std::unexpected(granted.error());
  shared_->leases.fetch_add(1);
  lease_ = *granted;
  if (auto put = etcd.put(items()); !put) return put;
  log(LogLevel::info, "discovery", "registered",
      {{"address", std::string_view(options_.address)},
       {"names", static_cast<std::uint64_t>(options_.names.size())},
       {"lease", lease_}});
  return {};
}

Result<void> Registration::restore(EtcdClient& etcd) {
  auto alive = etcd.keep_alive(lease_);
  if (!alive) return std::unexpected(alive.error());
  const std::vector<KeyValue> wanted = items();
  std::vector<std::string> keys;
  for (const KeyValue& item : wanted) keys.push_back(item.key);
  auto there = etcd.get(keys);
  if (!there) return std::unexpected(there.error());
  std::vector<KeyValue> missing;
  for (const KeyValue& item : wanted) {
    const bool found = std::ranges::any_of(there->items, [&](const KeyValue& one) {
      return one.key == item.key && one.value == item.value && one.lease == item.lease;
    });
    if (!found) missing.push_back(item);
  }
  if (missing.empty()) return {};
  if (auto put = etcd.put(missing); !put) return put;
  shared_->restored.fetch_add(missing.size());
  log(LogLevel::warn, "discovery", "keys were missing and are back",
      {{"keys", static_cast<std::uint64_t>(missing.size())}, {"lease", lease_}});
  return {};
}

std::vector<KeyValue> Registration::items() const {
  std::vector<KeyValue> all;
  for (const std::string& name : options_.names) {
    all.push_back({fmt::format("{}/{}", name, lease_), options_.address, lease_});
  }
  return all;
}

void Registration::is_in(std::int64_t lease) {
  const std::lock_guard lock(shared_->mutex);
  shared_->state = {.registered = true, .lease = lease, .trouble = {}};
}

/// What stays wrong is said once.
void Registration::is_out(const Error& error) {
  if (error.code == ErrorCode::cancelled) return;  // it stops
  shared_->failures.fetch_add(1);
  bool said = false;
  {
    const std::lock_guard lock(shared_->mutex);
    said = shared_->state.trouble == error.text;
    shared_->state = {.registered = false, .lease = lease_, .trouble = error.text};
  }
  if (said) return;
  log(LogLevel::warn, "discovery", "not registered", {{"reason", std::string_view(error.text)}});
}

}  // namespace trialwire::discovery
