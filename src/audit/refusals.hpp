// SPDX-License-Identifier: Apache-2.0
// Refused tokens and rights as entries of the audit trail. One who is refused again and again is
// one entry an interval that says how often: no flood fills the journal. One a shard, on its
// thread; times are passed in.
//
// Bounds: entries are told apart by address, reason and name; of `keys_max` of them that the
// interval knows, and of all others together, at most one entry each an interval, but for the
// first, which is written at the next tick. An entry that the journal does not take stays counted
// and is tried again. What was counted in the last interval goes with a process that is killed.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "audit/trail.hpp"
#include "journal/appender.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::audit {

struct RefusalOptions {
  std::string server = "http";  // whose: in Entry::origin
  std::size_t keys_max = 256;
  std::int64_t interval_ns = 60'000'000'000;
};

/// One request that was refused.
struct Refused {
  std::string_view what;     // what_login_failure, what_refused
  std::string_view reason;   // a label
  std::string_view address;  // without a port
  std::string_view target;   // "GET /v1/vitals": of the first alone
  std::string_view who;      // of a token that was taken
};

class Refusals final : public journal::Waiter {
 public:
  /// `trail` outlives it.
  Refusals(Trail& trail, const RefusalOptions& options, telemetry::Registry& metrics);

  void count(const Refused& refused, std::int64_t unix_ns);
  /// Writes what is due. Now and then, and with `all` before the end.
  void tick(std::int64_t unix_ns, bool all = false);
  void committed(const journal::Receipt& receipt) noexcept override;

 private:
  using Key = std::tuple<std::string, std::string, std::string>;  // address, reason, who
  struct Tally {
    Entry entry;
    std::uint64_t times = 0;      // not written yet
    std::uint64_t in_flight = 0;  // handed to the journal
    std::int64_t first_ns = 0;
    std::int64_t last_ns = 0;
    std::int64_t due_ns = 0;
  };

  static Entry entry_of(const Tally& tally);

  Trail& trail_;
  const RefusalOptions options_;
  std::map<Key, Tally> tallies_;
  std::vector<Entry> entries_;
  std::int64_t written_ns_ = 0;
  bool waiting_ = false;
  telemetry::Gauge& known_;
  telemetry::Counter& beyond_;
};

}  // namespace trialwire::audit
