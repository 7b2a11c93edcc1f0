// SPDX-License-Identifier: Apache-2.0
// What may come in: the filters between a parsed request and its handler, in this order:
//
//   filter                         whom it concerns        refused with
//   concurrency and rate of an     routes below a path     503 or 429, likewise
//     address, of a prefix           that has such limits
//   concurrency, queue             routes that wait        503, Retry-After
//   rate, of an address · of all   every request           429, Retry-After, RateLimit
//   load                           intake: loop lag, age of the commit queue; routes that wait:
//                                  resilience/shedder.hpp  503, Retry-After
//
// A token is looked at behind them, and the breaker of the route (route_breakers.hpp) behind that.
// Where it is looked at before a body is waited for, the rates are taken before that, and not again
// with the rest.
//
// Intake does not count against the concurrency limit: what it may hold is bounded in bytes
// (limits.unacknowledged_*), which a count of requests of any size says nothing of. A route that is
// exempt (health checks, streams) meets the rate limits alone. RateLimit and RateLimit-Policy are
// those of draft-ietf-httpapi-ratelimit-headers-11; with a rate of an address set, every answer
// has them.
//
// Bounds: `buckets_max` token buckets in all. Threads: an Admission is one shard's; what is common
// (AdmissionCommon) is behind locks that are held for some ten nanoseconds. Nothing allocates per
// request. With everything off a request costs two comparisons.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/brief_lock.hpp"
#include "base/hash.hpp"
#include "net/admission_options.hpp"
#include "net/rate_note.hpp"
#include "net/rate_table.hpp"
#include "net/route_kind.hpp"
#include "net/route_limit.hpp"
#include "resilience/shedder.hpp"
#include "telemetry/metrics.hpp"

struct sockaddr_storage;

namespace trialwire::net {

/// Why a request is refused; the label of trialwire_admission_refused_total.
enum class Refused : std::uint8_t {
  no,
  concurrent,
  queued,
  rate_address,
  rate_all,
  loop_lag,
  commit_age,
  load,
  route_concurrent,
  rate_route,
  count_
};
std::string_view name_of(Refused reason) noexcept;

struct Admitted {
  Refused refused = Refused::no;
  bool flying = false;              // `landed` or `left` follows
  std::uint16_t limit = 0;          // under way there; `left_route` follows. 0: nowhere
  std::uint32_t retry_after_s = 1;  // when refused
  RateNote rate;
};

/// What the shards of one server share.
class AdmissionCommon {
 public:
  AdmissionCommon(AdmissionOptions options, std::string server, telemetry::Registry& metrics);

  const AdmissionOptions& options() const noexcept { return options_; }
  const std::string& server() const noexcept { return server_; }
  bool limits_addresses() const noexcept { return addresses_ != nullptr; }
  /// Somebody wants to know of a connection whose it is.
  bool knows_addresses() const noexcept { return knows_addresses_; }
  bool limits_rates() const noexcept { return limits_addresses() || options_.all.per_second > 0; }
  /// Of the peer of a connection: IPv4, mapped ones too, whole; IPv6 by its prefix.
  Hash128 key_of(const sockaddr_storage& peer) const noexcept;

  /// One token of the address, then one of all.
  void take(const Hash128& address, std::int64_t now_ns, Admitted& to) noexcept;
  /// Of answers with a RateNote: addresses have a limit.
  const RateLines& lines() const noexcept { return addresses_->lines(); }

  /// `number` as RouteOptions::limit, over 0.
  RouteLimit& route_limit(std::uint16_t number) noexcept { return *routes_[number - 1]; }

  bool fly() noexcept;
  void land() noexcept { flying_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  void publish(telemetry::Registry& metrics) const;

  AdmissionOptions options_;
  std::string server_;
  SipKey key_;
  std::shared_ptr<RateTable> addresses_;  // with scrapes, which may outlive the server; null: off
  resilience::TokenRate all_rate_;
  BriefLock all_lock_;
  resilience::TokenBucket all_;
  std::atomic<std::size_t> flying_{0};
  std::vector<std::unique_ptr<RouteLimit>> routes_;
  bool knows_addresses_ = false;
};

class Admission {
 public:
  /// `shard` names it to AdmissionOptions::commit_age_ns and in metrics.
  Admission(std::shared_ptr<AdmissionCommon> common, unsigned shard, telemetry::Registry& metrics);

  struct Asked {
    std::optional<RouteKind> kind;  // nothing: it has no route
    Hash128 address;
    std::optional<RateNote> rate;  // what `admit_head` said of it; nothing: it was not asked
    std::uint16_t limit = 0;       // RouteOptions::limit
  };
  Admitted admit(const Asked& asked, std::int64_t now_ns, std::int64_t loop_lag_ns) noexcept;
  /// The rates alone, of a request whose body is not there yet.
  Admitted admit_head(const Hash128& address, std::uint16_t limit, std::int64_t now_ns) noexcept;
  /// Of one that flies: it was answered, after so long; or it failed, or nobody waits for it.
  void landed(std::int64_t now_ns, std::int64_t took_ns) noexcept;
  void left() noexcept;
  void left_route(std::uint16_t limit) noexcept { common_->route_limit(limit).land(); }

  const AdmissionCommon& common() const noexcept { return *common_; }
  /// For the metrics, every now and then.
  void tick(std::int64_t now_ns, std::int64_t loop_lag_ns) noexcept;

 private:
  static constexpr std::uint64_t any_number = std::numeric_limits<std::uint64_t>::max();

  Admitted admit_here(const Asked& asked, std::int64_t now_ns, std::int64_t loop_lag_ns) noexcept;
  Admitted admit_below(const Asked& asked, std::int64_t now_ns, std::int64_t loop_lag_ns) noexcept;
  bool take_of_route(RouteLimit& limit, const Hash128& address, std::int64_t now_ns,
                     Admitted& to) noexcept;
  Refused load_of_intake(std::int64_t now_ns, std::int64_t loop_lag_ns) noexcept;
  Admitted refuse(Refused reason, Admitted admitted) noexcept;

  std::shared_ptr<AdmissionCommon> common_;  // its Admissions end on their own threads
  const unsigned shard_;
  const bool rates_;
  const bool watches_intake_;
  resilience::Shedder shedder_;
  std::int64_t looked_ns_ = -1;  // at what concerns intake: once a turn
  Refused intake_ = Refused::no;
  std::uint64_t room_ = any_number;  // for intake, in this turn
  std::array<telemetry::Counter*, static_cast<std::size_t>(Refused::count_)> refused_{};
  telemetry::Gauge& in_flight_;
  telemetry::Gauge& loop_lag_;
  telemetry::Gauge& commit_age_;
};

}  // namespace trialwire::net
