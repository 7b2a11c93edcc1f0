// SPDX-License-Identifier: Apache-2.0
#include "discovery/etcd_endpoints.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <utility>

#include <fmt/format.h>

#include "runtime/signals_blocked.hpp"
#include "telemetry/log.hpp"

namespace trialwire::discovery {

using outbound::EndpointList;

struct EtcdEndpoints::Shared {
  mutable std::mutex mutex;
  std::shared_ptr<const EndpointList> list = std::make_shared<const EndpointList>();  // under mutex
  std::atomic<std::uint64_t> reads{0};
  std::atomic<std::uint64_t> failures{0};
  std::atomic<std::uint64_t> refused{0};
};

EtcdEndpoints::EtcdEndpoints(EtcdEndpointsOptions options, outbound::HttpTarget& target,
                             telemetry::Registry& metrics)
    : options_(std::move(options)), target_(target), shared_(std::make_shared<Shared>()) {
  metrics.observe("trialwire_discovery_endpoints", "Servers of that name that are called.",
                  {{"name", options_.name}}, [shared = shared_] {
                    const std::lock_guard lock(shared->mutex);
                    return static_cast<double>(shared->list->size());
                  });
  const auto count = [&](const char* name, const char* help,
                         std::atomic<std::uint64_t> Shared::* counter) {
    metrics.observe_total(name, help, {{"name", options_.name}}, [shared = shared_, counter] {
      return static_cast<double>(((*shared).*counter).load());
    });
  };
  count("trialwire_discovery_reads_total", "Times that all servers of a name were read.",
        &Shared::reads);
  count("trialwire_discovery_read_failures_total", "Times that etcd did not say who they are.",
        &Shared::failures);
  count("trialwire_discovery_values_refused_total", "Values of keys that are no host and port.",
        &Shared::refused);
  const runtime::SignalsBlocked blocked;
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

EtcdEndpoints::~EtcdEndpoints() {
  thread_.request_stop();
  thread_.join();
}

std::shared_ptr<const EndpointList> EtcdEndpoints::endpoints() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->list;
}

void EtcdEndpoints::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "resolution");
  EtcdClient etcd(options_.etcd, target_, stop);
  std::mutex mutex;
  std::condition_variable_any wake;
  while (!stop.stop_requested()) {
    auto followed = follow(etcd);
    if (followed || stop.stop_requested()) continue;
    failed(followed.error());
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, options_.retry, [] { return false; });
  }
}

/// Returns when the list is to be read again.
Result<void> EtcdEndpoints::follow(EtcdClient& etcd) {
  const std::string prefix = options_.name + "/";
  auto all = etcd.get_prefix(prefix);
  if (!all) return std::unexpected(all.error());
  shared_->reads.fetch_add(1);
  trouble_.clear();
  known_.clear();
  for (KeyValue& item : all->items) known_.insert_or_assign(item.key, std::move(item.value));
  publish();
  return etcd.watch(prefix, all->revision + 1, options_.refresh,
                    [this](std::span<const WatchEvent> events) { apply(events); });
}

void EtcdEndpoints::apply(std::span<const WatchEvent> events) {
  for (const WatchEvent& event : events) {
    if (event.deleted) {
      known_.erase(event.item.key);
    } else {
      known_.insert_or_assign(event.item.key, event.item.value);
    }
  }
  publish();
}

void EtcdEndpoints::publish() {
  EndpointList made;
  for (const auto& [key, value] : known_) {
    auto where = outbound::parse_host_port(value);
    if (!where) {
      shared_->refused.fetch_add(1);
      continue;
    }
    outbound::Endpoint endpoint{.authority = where->text(), .address = {}};
    if (std::ranges::find(made, endpoint) == made.end()) made.push_back(std::move(endpoint));
  }
  std::ranges::sort(made, {}, &outbound::Endpoint::authority);
  const auto size = static_cast<std::uint64_t>(made.size());
  {
    const std::lock_guard lock(shared_->mutex);
    if (made.empty() || made == *shared_->list) return;
    shared_->list = std::make_shared<const EndpointList>(std::move(made));
  }
  telemetry::log(telemetry::LogLevel::info, "discovery", "servers of a name have changed",
                 {{"name", std::string_view(options_.name)}, {"servers", size}});
}

/// What stays wrong is said once.
void EtcdEndpoints::failed(const Error& error) {
  shared_->failures.fetch_add(1);
  if (std::exchange(trouble_, error.text) == error.text) return;
  telemetry::log(
      telemetry::LogLevel::warn, "discovery",
      "etcd does not say who is there: those of before are called",
      {{"name", std::string_view(options_.name)}, {"reason", std::string_view(error.text)}});
}

}  // namespace trialwire::discovery
