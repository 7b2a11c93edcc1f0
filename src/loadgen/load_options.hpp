// SPDX-License-Identifier: Apache-2.0
// What a load run is told, and what its settings look like as text.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "loadgen/request_source.hpp"
#include "loadgen/schedule.hpp"

namespace trialwire::loadgen {

struct LoadOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  bool tls = false;                      // https
  bool insecure = false;                 // the server's certificate is not looked at
  std::string authorities;               // PEM file of whom to trust; empty: the system's
  RecordKind kind = RecordKind::report;  // of generated records; of those of a file the path alone
  std::string path;                      // empty: the kind's
  unsigned threads = 1;
  unsigned connections = 64;
  unsigned pipeline = 1;  // requests in flight on a connection, at most
  double rate = 0;        // requests a second of an open loop; 0: closed loop
  Arrivals arrivals = Arrivals::poisson;
  std::chrono::nanoseconds duration = std::chrono::seconds(10);  // measured, after the warm-up
  std::chrono::nanoseconds warmup{0};
  std::chrono::nanoseconds timeout = std::chrono::seconds(10);  // without any answer
  std::uint64_t count = 0;  // requests in all; 0: until `duration` has passed
  bool once = false;        // each record of the file once, whatever `count` and `duration` say
  unsigned ndjson = 0;      // reports in a body; 0: one JSON object
  bool gzip = false;
  bool reconnect = false;  // open a lost connection again, for as long as the run lasts
  std::string file;        // empty: generated records
  std::string mapping;     // of a CSV file
  std::string token;       // bearer token of every request; empty: none
  std::string receipts;    // file for the ids of what was acknowledged
};

/// "http://HOST[:PORT][/PATH]", or https, into host, port and, when it has one, path. IPv6 in
/// brackets.
Result<void> apply_url(std::string_view url, LoadOptions& options);

/// "250ms", "30s", "2m", "1h", "1.5s"; a bare number is seconds.
Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// Values that make no sense, alone or together, in one clear line.
Result<void> check_options(const LoadOptions& options);

}  // namespace trialwire::loadgen
