// SPDX-License-Identifier: Apache-2.0
// What etcd's JSON gateway is sent and what it answers. Pure functions; what is not understood is
// an error, not a guess.
//
//   POST /v3/lease/grant {"TTL":10}                     → {"header":{…},"ID":"7587","TTL":"10"}
//   POST /v3/lease/keepalive {"ID":7587}                → {"result":{"ID":"7587","TTL":"10"}}
//                                                         without TTL: there is no such lease
//   POST /v3/kv/txn {"success":[{"request_put":{"key":"Y2…","value":"MT…","lease":7587}}]}
//   POST /v3/watch {"create_request":{"key":"Y2…","range_end":"Y2…","start_revision":6}}
//                 → a line each: {"result":{"events":[{"type":"DELETE","kv":{"key":"Y2…"}}]}}
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "discovery/etcd_client.hpp"

namespace trialwire::discovery {

std::string base64(std::string_view bytes);
std::optional<std::string> base64_decoded(std::string_view text);
/// The first key that no longer has that prefix: "a/" → "a0". Empty prefix: empty.
std::string prefix_end(std::string_view prefix);

std::string grant_body(std::chrono::seconds ttl);
std::string lease_body(std::int64_t lease);
std::string put_body(std::span<const KeyValue> items);
std::string get_body(std::span<const std::string> keys);
std::string prefix_body(std::string_view prefix);
std::string watch_body(std::string_view prefix, std::int64_t revision);
std::string login_body(std::string_view name, std::string_view password);

Result<std::int64_t> read_grant(std::string_view json);
/// 0: the lease is no more.
Result<std::chrono::seconds> read_keep_alive(std::string_view json);
/// Of a range, or of all ranges of a transaction.
Result<KeyRange> read_range(std::string_view json);
Result<KeyRange> read_ranges(std::string_view json);
Result<std::string> read_login(std::string_view json);
/// What a refusal says: its code by gRPC's number, else by `status`.
Error read_refusal(unsigned status, std::string_view json);

struct WatchLine {
  std::vector<WatchEvent> events;
  bool ended = false;  // by etcd: compacted, or cancelled
};
Result<WatchLine> read_watch_line(std::string_view json);

}  // namespace trialwire::discovery
