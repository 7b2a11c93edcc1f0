// SPDX-License-Identifier: Apache-2.0
// As much of etcd as registration and resolution ask for, in memory, to be made to misbehave. What
// the real one does is tested in tests/services.
#pragma once
#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "discovery/etcd_json.hpp"
#include "support/rough_http.hpp"

namespace trialwire::discovery::testing {

class Etcd {
 public:
  Etcd()
      : server_([this](auto& peer, const support::RoughRequest& request) {
          return serve(peer, request);
        }) {}

  std::string address() const { return server_.address(); }
  void go_away() { server_.stop(); }
  void come_back() { server_.start(); }

  std::map<std::string, std::string> keys() {
    const std::lock_guard lock(mutex_);
    std::map<std::string, std::string> all;
    for (const auto& [key, item] : items_) all[key] = item.value;
    return all;
  }
  void put(const std::string& key, const std::string& value) {
    const std::lock_guard lock(mutex_);
    change({key, value, 0}, false);
  }
  void erase(const std::string& key) {
    const std::lock_guard lock(mutex_);
    change({key, {}, 0}, true);
  }
  void expire_leases() {
    const std::lock_guard lock(mutex_);
    leases_.clear();
    drop_orphans();
  }
  /// Watches from here back end as compacted.
  void compact() {
    const std::lock_guard lock(mutex_);
    compacted_ = revision_;
    changed_.notify_all();
  }
  std::size_t watches() {
    const std::lock_guard lock(mutex_);
    return watches_;
  }
  int leases_granted() {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(next_lease_ - 7'000);
  }
  std::string last_authorization() {
    const std::lock_guard lock(mutex_);
    return authorization_;
  }
  /// From now on who does not log in as root:secret is answered 401; tokens of before are void.
  void want_login() {
    const std::lock_guard lock(mutex_);
    wants_login_ = true;
    ++generation_;
  }

 private:
  using json = boost::json::value;

  static std::int64_t number(const json& value) {
    return value.is_string() ? std::stoll(std::string(value.as_string()))
                             : value.to_number<std::int64_t>();
  }
  static std::string text(const json& value) {
    return *base64_decoded(std::string(value.as_string()));
  }

  void change(const KeyValue& item, bool deleted) {
    ++revision_;
    if (deleted) {
      items_.erase(item.key);
    } else {
      items_[item.key] = item;
    }
    events_[revision_] =
        fmt::format(R"({{"{}kv":{{"key":"{}","value":"{}"}}}})",
                    deleted ? R"(type":"DELETE",")" : "", base64(item.key), base64(item.value));
    changed_.notify_all();
  }
  void drop_orphans() {
    std::vector<std::string> gone;
    for (const auto& [key, item] : items_) {
      if (item.lease != 0 && std::ranges::find(leases_, item.lease) == leases_.end()) {
        gone.push_back(key);
      }
    }
    for (const std::string& key : gone) change({key, {}, 0}, true);
  }
  std::string header() const { return fmt::format(R"("header":{{"revision":"{}"}})", revision_); }
  std::string range(const std::string& from, const std::string& to) const {
    std::string kvs;
    for (auto at = items_.lower_bound(from);
         at != items_.end() && (to.empty() ? at->first == from : at->first < to); ++at) {
      fmt::format_to(std::back_inserter(kvs), R"({}{{"key":"{}","value":"{}","lease":"{}"}})",
                     kvs.empty() ? "" : ",", base64(at->first), base64(at->second.value),
                     at->second.lease);
    }
    return fmt::format(R"({{{},"kvs":[{}]}})", header(), kvs);
  }

  std::pair<int, std::string> answer(const std::string& path, const json& body) {
    constexpr std::string_view no_lease =
        R"({"error":"etcdserver: requested lease not found","code":5})";
    if (path == "/v3/auth/authenticate") {
      const bool right = body.at("name") == "root" && body.at("password") == "secret";
      if (!right) return {400, R"({"error":"authentication failed","code":3})"};
      return {200, fmt::format(R"({{"token":"token-{}"}})", generation_)};
    }
    if (wants_login_ && authorization_ != fmt::format("token-{}", generation_)) {
      return {401, R"({"error":"etcdserver: invalid auth token","code":16})"};
    }
    if (path == "/v3/lease/grant") {
      leases_.push_back(++next_lease_);
      return {200, fmt::format(R"({{{},"ID":"{}","TTL":"10"}})", header(), next_lease_)};
    }
    if (path == "/v3/kv/range")
      return {200, range(text(body.at("key")), text(body.at("range_end")))};
    if (path == "/v3/kv/txn") return transaction(body, no_lease);
    const std::int64_t lease = number(body.at("ID"));
    const bool lives = std::ranges::find(leases_, lease) != leases_.end();
    if (path == "/v3/lease/keepalive") {
      return {200, fmt::format("{{\"result\":{{\"ID\":\"{}\"{}}}}}\n", lease,
                               lives ? R"(,"TTL":"10")" : "")};
    }
    if (!lives) return {404, std::string(no_lease)};
    std::erase(leases_, lease);
    drop_orphans();
    return {200, fmt::format("{{{}}}", header())};
  }

  std::pair<int, std::string> transaction(const json& body, std::string_view no_lease) {
    std::string responses;
    for (const json& each : body.at("success").as_array()) {
      std::string one;
      if (const auto* put = each.as_object().if_contains("request_put")) {
        const std::int64_t lease = number(put->at("lease"));
        if (std::ranges::find(leases_, lease) == leases_.end()) return {404, std::string(no_lease)};
        change({text(put->at("key")), text(put->at("value")), lease}, false);
        one = R"({"response_put":{}})";
      } else {
        one = fmt::format(R"({{"response_range":{}}})",
                          range(text(each.at("request_range").at("key")), ""));
      }
      responses += (responses.empty() ? "" : ",") + one;
    }
    return {200, fmt::format(R"({{{},"succeeded":true,"responses":[{}]}})", header(), responses)};
  }

  bool serve(support::RoughHttp::Peer& peer, const support::RoughRequest& request) {
    const std::string path = request.line.substr(5, request.line.rfind(' ') - 5);
    const json body = boost::json::parse(request.body);
    std::pair<int, std::string> made;
    {
      const std::lock_guard lock(mutex_);
      authorization_ = request.header("authorization");
      if (path != "/v3/watch") made = answer(path, body);
    }
    if (path == "/v3/watch")
      return watch(peer, number(body.at("create_request").at("start_revision")));
    return peer.send(support::rough_answer(made.first, made.second));
  }

  static bool send_line(support::RoughHttp::Peer& peer, const std::string& line) {
    return peer.send(fmt::format("{:x}\r\n{}\n\r\n", line.size() + 1, line));
  }

  bool watch(support::RoughHttp::Peer& peer, std::int64_t from) {
    using namespace std::chrono_literals;
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    bool alive = send_line(peer, R"({"result":{"created":true}})");
    {
      const std::lock_guard lock(mutex_);
      ++watches_;
    }
    while (alive && peer.wait(1ms)) {
      std::string line;
      {
        const std::lock_guard lock(mutex_);
        if (from <= compacted_) {
          line = R"({"result":{"canceled":true,"compact_revision":"9"}})";
        } else if (auto event = events_.lower_bound(from); event != events_.end()) {
          line = fmt::format(R"({{"result":{{"events":[{}]}}}})", event->second);
          from = event->first + 1;
        }
      }
      if (!line.empty()) alive = send_line(peer, line);
    }
    const std::lock_guard lock(mutex_);
    --watches_;
    return false;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t revision_ = 1;
  std::int64_t compacted_ = 0;
  std::int64_t next_lease_ = 7'000;
  std::size_t watches_ = 0;
  bool wants_login_ = false;
  int generation_ = 0;
  std::string authorization_;
  std::vector<std::int64_t> leases_;
  std::map<std::string, KeyValue> items_;
  std::map<std::int64_t, std::string> events_;
  support::RoughHttp server_;
};

}  // namespace trialwire::discovery::testing
