// SPDX-License-Identifier: Apache-2.0
// What is asked of etcd v3, through its JSON gateway (POST /v3/…): leases, keys, watches. Keys and
// values are base64 there, and 64-bit numbers are texts. Of one thread; its calls wait.
//
// Errors: not_found (no such lease), unauthenticated, forbidden (etcd's users), and those of
// outbound::HttpTarget; texts have etcd's reason, never a key's value or a password.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "outbound/http_target.hpp"

namespace trialwire::discovery {

struct EtcdOptions {
  std::string username;  // empty: etcd is asked without one
  std::string password_file;
  std::chrono::milliseconds deadline{2'000};  // of one call
};

struct KeyValue {
  std::string key;
  std::string value;
  std::int64_t lease = 0;
};

struct KeyRange {
  std::int64_t revision = 0;  // of the whole store, when it was read
  std::vector<KeyValue> items;
};

struct WatchEvent {
  bool deleted = false;
  KeyValue item;  // of a deleted one only its key
};

class EtcdClient {
 public:
  /// `target` outlives it. `stop` ends what it waits for.
  EtcdClient(EtcdOptions options, outbound::HttpTarget& target, std::stop_token stop);

  /// The id of a new lease.
  Result<std::int64_t> grant(std::chrono::seconds ttl);
  /// How long it has from now on; not_found when it is no more.
  Result<std::chrono::seconds> keep_alive(std::int64_t lease);
  /// With all of its keys. In time for who stops: `stop` does not end it.
  Result<void> revoke(std::int64_t lease, std::chrono::milliseconds deadline);
  /// Puts all of them at once, each with that lease.
  Result<void> put(std::span<const KeyValue> items);
  /// Those of the keys that are there, at one revision.
  Result<KeyRange> get(std::span<const std::string> keys);
  /// All whose key begins with it; `prefix` is not empty.
  Result<KeyRange> get_prefix(std::string_view prefix);

  using OnEvents = std::function<void(std::span<const WatchEvent>)>;
  /// Hands over what happens to keys with that prefix from that revision on, in its order, on the
  /// client's thread, for so long. Then, or when etcd ends it (the revision is compacted away, the
  /// connection is lost), it returns; what was missed is only in the store.
  Result<void> watch(std::string_view prefix, std::int64_t revision, std::chrono::milliseconds time,
                     const OnEvents& on_events);

 private:
  Result<std::string> ask(std::string_view path, const std::string& body);
  Result<outbound::HttpResponse> send(outbound::HttpRequest request);
  Result<void> authenticate();

  const EtcdOptions options_;
  outbound::HttpTarget& target_;
  const std::stop_token stop_;
  std::string token_;  // of etcd's users; empty: none is needed, or none is there yet
};

}  // namespace trialwire::discovery
