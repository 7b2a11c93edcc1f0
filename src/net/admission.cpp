// SPDX-License-Identifier: Apache-2.0
#include "net/admission.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

namespace trialwire::net {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(Refused::count_)> reasons{
    "none",     "concurrent", "queued", "rate_address",     "rate_all",
    "loop_lag", "commit_age", "load",   "route_concurrent", "rate_route"};

resilience::TokenRate rate_of(const RateOptions& options) {
  return {static_cast<double>(options.per_second), options.burst};
}

double seconds(std::int64_t ns) noexcept {
  return static_cast<double>(ns) * 1e-9;
}

}  // namespace

std::string_view name_of(Refused reason) noexcept {
  return reasons[static_cast<std::size_t>(reason)];
}

AdmissionCommon::AdmissionCommon(AdmissionOptions options, std::string server,
                                 telemetry::Registry& metrics)
    : options_(std::move(options)),
      server_(std::move(server)),
      key_(random_sip_key()),
      all_rate_(rate_of(options_.all)) {
  if (options_.address.per_second > 0) {
    addresses_ =
        std::make_shared<RateTable>(RateTableOptions{.name = "address",
                                                     .per_second = options_.address.per_second,
                                                     .burst = options_.address.burst,
                                                     .keys_max = options_.buckets_max});
  }
  knows_addresses_ = limits_addresses();
  for (const RouteLimitOptions& one : options_.routes) {
    routes_.push_back(std::make_unique<RouteLimit>(one, options_.buckets_max, server_, metrics));
    if (routes_.back()->limits_addresses()) knows_addresses_ = true;
  }
  publish(metrics);
}

void AdmissionCommon::publish(telemetry::Registry& metrics) const {
  const telemetry::Labels labels{{"server", server_}};
  auto limit = [&](std::string_view name, std::string_view help, double value) {
    metrics.gauge(name, help, labels).set(value);
  };
  limit("trialwire_admission_in_flight_max",
        "Limit of requests under way, but for intake; 0 is none.",
        static_cast<double>(options_.concurrent_max));
  limit("trialwire_admission_queued_max", "Limit of requests that wait for a worker; 0 is none.",
        static_cast<double>(options_.queued_max));
  limit("trialwire_admission_load_ratio_max",
        "Load of the processors from which requests are shed; 1 is never.",
        options_.cpu_threshold / 1'000);
  limit("trialwire_admission_loop_lag_seconds_max",
        "Lag of an I/O thread from which intake is refused; 0 is never.",
        seconds(options_.loop_lag_max.count()));
  limit("trialwire_admission_commit_age_seconds_max",
        "Age of what waits for its commit from which intake is refused; 0 is never.",
        seconds(options_.commit_age_max.count()));
  limit("trialwire_admission_rate_per_second_max",
        "Requests a second of all clients; 0 is no limit.",
        static_cast<double>(options_.all.per_second));
  limit("trialwire_admission_address_rate_per_second_max",
        "Requests a second of one address; 0 is no limit.",
        static_cast<double>(options_.address.per_second));
  if (options_.cpu) {
    metrics.observe("trialwire_admission_load_ratio",
                    "Load of the processors, of the control group's quota where there is one, "
                    "smoothed over some 5 seconds.",
                    labels, [cpu = options_.cpu] { return cpu() / 1'000; });
  }
  if (!limits_addresses()) return;
  metrics.observe("trialwire_admission_addresses", "Addresses whose rate is known.", labels,
                  [table = addresses_] { return static_cast<double>(table->keys()); });
  metrics.observe("trialwire_admission_addresses_max", "Limit of addresses whose rate is known.",
                  labels, [table = addresses_] { return static_cast<double>(table->keys_max()); });
  metrics.observe_total("trialwire_admission_addresses_unknown_total",
                        "Requests that shared one rate, for all places for addresses were taken.",
                        labels,
                        [table = addresses_] { return static_cast<double>(table->shared()); });
}

Hash128 AdmissionCommon::key_of(const sockaddr_storage& peer) const noexcept {
  std::array<std::byte, 17> bytes{};
  std::size_t size = 0;
  if (peer.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &peer, sizeof v4);
    std::memcpy(bytes.data(), &v4.sin_addr, size = 4);
  } else if (peer.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &peer, sizeof v6);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      std::memcpy(bytes.data(), v6.sin6_addr.s6_addr + 12, size = 4);
    } else {
      std::memcpy(bytes.data(), v6.sin6_addr.s6_addr, size = 16);
      for (unsigned bit = options_.ipv6_prefix; bit < 128; ++bit) {
        bytes[bit / 8] &= ~(std::byte{0x80} >> (bit % 8));
      }
    }
  }
  return siphash(key_, {bytes.data(), size});
}

void AdmissionCommon::take(const Hash128& address, std::int64_t now_ns, Admitted& to) noexcept {
  if (addresses_) {
    const RateTable::Taken taken = addresses_->take(address, now_ns);
    to.rate = addresses_->note(taken, now_ns);
    if (!taken.admitted) {
      to.refused = Refused::rate_address;
      to.retry_after_s = addresses_->retry_after_s(taken, now_ns);
      return;
    }
  }
  if (options_.all.per_second == 0) return;
  std::lock_guard lock(all_lock_);
  if (all_.take(all_rate_, now_ns)) return;
  to.refused = Refused::rate_all;
  to.retry_after_s = seconds_up(all_.until_token_ns(all_rate_, now_ns));
}

bool AdmissionCommon::fly() noexcept {
  const std::size_t before = flying_.fetch_add(1, std::memory_order_relaxed);
  if (options_.concurrent_max == 0 || before < options_.concurrent_max) return true;
  land();
  return false;
}

Admission::Admission(std::shared_ptr<AdmissionCommon> common, unsigned shard,
                     telemetry::Registry& metrics)
    : common_(std::move(common)),
      shard_(shard),
      rates_(common_->limits_rates()),
      watches_intake_(common_->options().loop_lag_max.count() > 0 ||
                      common_->options().commit_age_max.count() > 0),
      shedder_({.cpu_threshold = common_->options().cpu_threshold,
                .flight_min = common_->options().waiting_min}),
      in_flight_(metrics.gauge("trialwire_admission_in_flight",
                               "Requests under way, but for intake.",
                               {{"server", common_->server()}})),
      loop_lag_(metrics.gauge("trialwire_admission_loop_lag_seconds",
                              "How late an I/O thread gets to what is due.",
                              {{"server", common_->server()}, {"shard", std::to_string(shard)}})),
      commit_age_(
          metrics.gauge("trialwire_admission_commit_age_seconds",
                        "Age of the oldest request that waits for its commit.",
                        {{"server", common_->server()}, {"shard", std::to_string(shard)}})) {
  for (std::size_t i = 1; i < refused_.size(); ++i) {
    refused_[i] = &metrics.counter(
        "trialwire_admission_refused_total", "Requests refused before they were handled, by why.",
        {{"server", common_->server()}, {"reason", std::string(reasons[i])}});
  }
}

Admitted Admission::refuse(Refused reason, Admitted admitted) noexcept {
  admitted.refused = reason;
  refused_[static_cast<std::size_t>(reason)]->add();
  return admitted;
}

bool Admission::take_of_route(RouteLimit& limit, const Hash128& address, std::int64_t now_ns,
                              Admitted& to) noexcept {
  if (!limit.limits_addresses()) return true;
  const RateTable::Taken taken = limit.rates().take(address, now_ns);
  if (taken.admitted) return true;
  to.rate = limit.rates().note(taken, now_ns);
  to.retry_after_s = limit.rates().retry_after_s(taken, now_ns);
  return false;
}

Admitted Admission::admit_head(const Hash128& address, std::uint16_t limit,
                               std::int64_t now_ns) noexcept {
  Admitted admitted;
  if (limit != 0 && !take_of_route(common_->route_limit(limit), address, now_ns, admitted)) {
    return refuse(Refused::rate_route, admitted);
  }
  if (!rates_) return admitted;
  common_->take(address, now_ns, admitted);
  return admitted.refused == Refused::no ? admitted : refuse(admitted.refused, admitted);
}

Admitted Admission::admit(const Asked& asked, std::int64_t now_ns,
                          std::int64_t loop_lag_ns) noexcept {
  if (asked.limit == 0) [[likely]]
    return admit_here(asked, now_ns, loop_lag_ns);
  return admit_below(asked, now_ns, loop_lag_ns);
}

/// Of a route whose path has limits of its own: these first.
Admitted Admission::admit_below(const Asked& asked, std::int64_t now_ns,
                                std::int64_t loop_lag_ns) noexcept {
  RouteLimit& limit = common_->route_limit(asked.limit);
  Admitted admitted;
  if (!limit.fly()) return refuse(Refused::route_concurrent, admitted);
  if (!asked.rate && !take_of_route(limit, asked.address, now_ns, admitted)) {
    limit.land();
    return refuse(Refused::rate_route, admitted);
  }
  admitted = admit_here(asked, now_ns, loop_lag_ns);
  if (admitted.refused == Refused::no) {
    admitted.limit = asked.limit;
  } else {
    limit.land();
  }
  return admitted;
}

Admitted Admission::admit_here(const Asked& asked, std::int64_t now_ns,
                               std::int64_t loop_lag_ns) noexcept {
  Admitted admitted;
  const bool waits = asked.kind == RouteKind::waiting;
  if (waits) {
    const AdmissionOptions& options = common_->options();
    if (!common_->fly()) return refuse(Refused::concurrent, admitted);
    if (options.queued_max > 0 && options.queued && options.queued() >= options.queued_max) {
      common_->land();
      return refuse(Refused::queued, admitted);
    }
  }
  if (asked.rate) [[unlikely]] {
    admitted.rate = *asked.rate;
  } else if (rates_) [[unlikely]] {
    common_->take(asked.address, now_ns, admitted);
    if (admitted.refused != Refused::no) {
      if (waits) common_->land();
      return refuse(admitted.refused, admitted);
    }
  }
  if (waits) {
    const auto& cpu = common_->options().cpu;
    if (!shedder_.admit(now_ns, cpu ? cpu() : 0)) {
      common_->land();
      return refuse(Refused::load, admitted);
    }
    admitted.flying = true;
    in_flight_.add(1);
  } else if (asked.kind == RouteKind::intake && watches_intake_) {
    if (Refused reason = load_of_intake(now_ns, loop_lag_ns); reason != Refused::no) [[unlikely]]
      return refuse(reason, admitted);
    if (room_ == 0) [[unlikely]]
      return refuse(Refused::commit_age, admitted);
    --room_;
  }
  return admitted;
}

/// The clock is read once a turn, and so is this; of the room that there is each takes its place.
Refused Admission::load_of_intake(std::int64_t now_ns, std::int64_t loop_lag_ns) noexcept {
  if (now_ns == looked_ns_) [[likely]]
    return intake_;
  looked_ns_ = now_ns;
  const AdmissionOptions& options = common_->options();
  const std::int64_t lag_max = options.loop_lag_max.count();
  const std::int64_t age_max = options.commit_age_max.count();
  intake_ = Refused::no;
  room_ = any_number;
  if (lag_max > 0 && loop_lag_ns > lag_max) {
    intake_ = Refused::loop_lag;
  } else if (age_max > 0 && options.commit_age_ns &&
             options.commit_age_ns(shard_, now_ns) > age_max) {
    intake_ = Refused::commit_age;
  } else if (age_max > 0 && options.commit_room) {
    room_ = options.commit_room(shard_, now_ns);
  }
  return intake_;
}

void Admission::landed(std::int64_t now_ns, std::int64_t took_ns) noexcept {
  common_->land();
  in_flight_.add(-1);
  shedder_.finished(now_ns, took_ns);
}

void Admission::left() noexcept {
  common_->land();
  in_flight_.add(-1);
  shedder_.left();
}

void Admission::tick(std::int64_t now_ns, std::int64_t loop_lag_ns) noexcept {
  loop_lag_.set(seconds(loop_lag_ns));
  const auto& age = common_->options().commit_age_ns;
  if (age) commit_age_.set(seconds(age(shard_, now_ns)));
}

}  // namespace trialwire::net
