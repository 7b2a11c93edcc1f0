// SPDX-License-Identifier: Apache-2.0
// Settings of servers that are called over HTTP.
#include "config/schema_rows.hpp"

namespace trialwire::config::schema {

void add_services(std::vector<Descriptor>& rows) {
  using V = ServiceSettings;
  rows.push_back(row<&S::services, &V::deadline>("services.deadline", duration(ms, hour),
                                                 "Time for an answer, attempts included."));
  rows.push_back(row<&S::services, &V::connect_timeout>(
      "services.connect_timeout", duration(ms, hour), "Of it, time for a connection."));
  rows.push_back(row<&S::services, &V::retries>(
      "services.retries", integer(0, 10),
      "Attempts beyond the first, where one may help and may be made twice."));
  rows.push_back(row<&S::services, &V::retry_budget>(
      "services.retry_budget", {.kind = Kind::percent, .minimum = 0, .maximum = 100},
      "Such attempts, as a share of the calls; besides, one in ten seconds."));
  rows.push_back(row<&S::services, &V::retry_burst>("services.retry_burst", integer(0, 10'000),
                                                    "So many of them at once."));
  rows.push_back(row<&S::services, &V::retry_first>(
      "services.retry_first", duration(ms, hour),
      "Longest wait before the first of them, by chance; doubled for each further one, up to 1 "
      "s."));
  rows.push_back(row<&S::services, &V::answer_bytes>("services.answer_bytes", bytes(kib, 256 * mib),
                                                     "Largest body of an answer."));
  rows.push_back(
      row<&S::services, &V::concurrent>("services.concurrent", integer(1, 100'000),
                                        "Calls of one target under way; more fail at once."));
  rows.push_back(
      row<&S::services, &V::ca>("services.ca", {.kind = Kind::text},
                                "File of authorities, PEM, for https; empty: the system's."));
  rows.push_back(row<&S::services, &V::proxy>(
      "services.proxy", {.kind = Kind::url},
      "Proxy for calls beyond this network (auth.jwt.jwks_url); the environment's are not used.",
      true));
}

}  // namespace trialwire::config::schema
