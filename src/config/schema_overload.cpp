// SPDX-License-Identifier: Apache-2.0
// Settings of what is refused before it is handled, and of what is not called while it fails.
#include "config/route_limits.hpp"
#include "config/schema_rows.hpp"

namespace trialwire::config::schema {
namespace {

Descriptor routes_row() {
  return {
      "limits.routes",
      {.kind = Kind::routes},
      "Limits of single routes, by the beginning of their path; the longest that fits counts, "
      "/ fits all. `per_second` and `burst`: requests of one address on these routes; more is "
      "answered 429. `concurrent`: requests under way on them; more is answered 503. "
      "`deadline`: time for an answer, then 504. `body`: of a request as sent; more is "
      "answered 413.",
      false,
      [](const Settings& settings) -> Value { return format_route_limits(settings.limits.routes); },
      [](Settings& settings, const Value& value) {
        auto limits = parse_route_limits(std::get<std::string>(value));
        TW_CHECK(limits.has_value());
        settings.limits.routes = std::move(*limits);
      }};
}

}  // namespace

void add_overload(std::vector<Descriptor>& rows) {
  using R = RateSettings;
  constexpr auto rate = &LimitSettings::rate;
  rows.push_back(row<&S::limits, rate, &R::per_second>(
      "limits.rate.per_second", integer(0, 1'000'000),
      "Requests a second of one client address; more is answered 429. 0 is off."));
  rows.push_back(row<&S::limits, rate, &R::burst>("limits.rate.burst", integer(1, 1'000'000),
                                                  "And so many of it at once."));
  rows.push_back(row<&S::limits, rate, &R::total_per_second>(
      "limits.rate.total_per_second", integer(0, 1'000'000'000),
      "Requests a second of all clients; more is answered 429. 0 is off."));
  rows.push_back(row<&S::limits, rate, &R::total_burst>(
      "limits.rate.total_burst", integer(1, 1'000'000'000), "And so many of them at once."));
  rows.push_back(row<&S::limits, rate, &R::addresses>(
      "limits.rate.addresses", integer(16, 100'000'000),
      "Addresses whose rate is known, 48 bytes each; the idle make room, and those beyond share "
      "one rate."));
  rows.push_back(
      row<&S::limits, rate, &R::ipv6_prefix>("limits.rate.ipv6_prefix", integer(16, 128),
                                             "Bits of an IPv6 address that are one client's."));
  rows.push_back(row<&S::limits, rate, &R::subject_per_second>(
      "limits.rate.subject_per_second", integer(0, 1'000'000),
      "Requests a second with tokens of one name (`sub`); more is answered 429. 0 is off."));
  rows.push_back(row<&S::limits, rate, &R::subject_burst>(
      "limits.rate.subject_burst", integer(1, 1'000'000), "And so many of it at once."));
  rows.push_back(row<&S::limits, rate, &R::subjects>(
      "limits.rate.subjects", integer(16, 100'000'000),
      "Names whose rate is known, 48 bytes each; as with addresses."));
  using H = ShedSettings;
  constexpr auto shed = &LimitSettings::shed;
  rows.push_back(row<&S::limits, shed, &H::cpu>(
      "limits.shed.cpu", {.kind = Kind::percent, .minimum = 1, .maximum = 100},
      "Load of the processors (of the control group's quota, where there is one) from which "
      "requests other than intake are shed with 503 when more are under way than can be answered; "
      "100% is off."));
  rows.push_back(row<&S::limits, shed, &H::concurrent>(
      "limits.shed.concurrent", integer(0, 10'000'000),
      "Requests other than intake under way at once; more is answered 503. 0 is off."));
  rows.push_back(row<&S::limits, shed, &H::queued>(
      "limits.shed.queued", integer(0, 10'000'000),
      "Of these, those that wait for a worker; more is answered 503. 0 is off."));
  rows.push_back(row<&S::limits, shed, &H::loop_lag>(
      "limits.shed.loop_lag", duration(0, hour),
      "How late an I/O thread may get to what is due before it answers intake 503; 0 is off."));
  rows.push_back(row<&S::limits, shed, &H::commit_age>(
      "limits.shed.commit_age", duration(0, hour),
      "How long the oldest request may wait for its commit before intake is answered 503; 0 is "
      "off."));
  rows.push_back(routes_row());
}

void add_breaker(std::vector<Descriptor>& rows) {
  using B = BreakerSettings;
  rows.push_back(row<&S::breaker, &B::routes>(
      "breaker.routes", boolean,
      "Each route of clients has one, too: where most of its requests fail (500), most are "
      "answered 503 at once."));
  constexpr Constraint factor{.kind = Kind::percent, .minimum = 100, .maximum = 1'000};
  rows.push_back(row<&S::breaker, &B::form>("breaker.form", choice(breaker_names),
                                            "adaptive refuses the more calls the more of them fail "
                                            "(Google SRE); ratio opens and closes."));
  rows.push_back(row<&S::breaker, &B::window>("breaker.window", duration(100 * ms, hour),
                                              "Over how long calls are counted."));
  rows.push_back(row<&S::breaker, &B::k>("breaker.k", factor,
                                         "Of adaptive: calls made for those that succeed."));
  rows.push_back(row<&S::breaker, &B::floor>(
      "breaker.floor", factor, "Of adaptive: what breaker.k sinks to while none succeeds."));
  rows.push_back(row<&S::breaker, &B::protection>(
      "breaker.protection", integer(0, 1'000'000),
      "Of adaptive: so many calls of a window are never refused."));
  rows.push_back(row<&S::breaker, &B::probe_interval>(
      "breaker.probe_interval", duration(ms, hour),
      "Of adaptive: when no call was made for so long, one is."));
  rows.push_back(row<&S::breaker, &B::success>(
      "breaker.success", {.kind = Kind::percent, .minimum = 1, .maximum = 100},
      "Of ratio: opens when fewer calls of the window succeed."));
  rows.push_back(row<&S::breaker, &B::calls>("breaker.calls", integer(1, 1'000'000),
                                             "Of ratio: and there were so many."));
  rows.push_back(row<&S::breaker, &B::open>(
      "breaker.open", duration(ms, hour), "Of ratio: then one call finds out whether it is well."));
}

}  // namespace trialwire::config::schema
