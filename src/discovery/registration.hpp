// SPDX-License-Identifier: Apache-2.0
// Keeps this process known to etcd under each of its names, as clients of go-zero look for it:
//
//   key    collection.rpc/7587868273216913922   NAME/ID of the lease, in decimal
//   value  10.0.0.7:8080
//
//   | what is found                              | what is done
//   | no lease                                   | one is granted, all keys are put with it
//   | the lease lives                            | its keys are read; one that is missing, or is
//   |                                            | another's, is put back
//   | the lease is no more (expired, revoked)    | as without one: a new id, new keys
//   | etcd does not answer                       | asked again after `retry`, for as long as it
//   takes
//
// Looked at three times within the lease's time: a key that was deleted is back within a third of
// it, and a server that is back within `retry` and what its answers take. On a thread of its own.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "discovery/etcd_client.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::discovery {

struct RegistrationOptions {
  std::vector<std::string> names;
  std::string address;
  std::chrono::seconds ttl{10};
  std::chrono::milliseconds retry{1'000};
  std::chrono::milliseconds leave_within{1'000};  // how long `stop` may take to say good-bye
  EtcdOptions etcd;
};

struct RegistrationState {
  bool registered = false;  // by what was seen last
  std::int64_t lease = 0;
  std::string trouble;  // why not
};

class Registration {
 public:
  /// `target` outlives it.
  Registration(RegistrationOptions options, outbound::HttpTarget& target,
               telemetry::Registry& metrics);
  ~Registration();
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  void start();
  /// Revokes the lease, and with it all keys: nobody is sent here any more. Idempotent.
  void stop();
  RegistrationState state() const;

 private:
  struct Shared;
  void run(const std::stop_token& stop);
  std::chrono::milliseconds look(EtcdClient& etcd);
  Result<void> enter(EtcdClient& etcd);
  Result<void> restore(EtcdClient& etcd);
  std::vector<KeyValue> items() const;
  void is_in(std::int64_t lease);
  void is_out(const Error& error);

  const RegistrationOptions options_;
  outbound::HttpTarget& target_;
  std::shared_ptr<Shared> shared_;  // with a scrape, which may outlive it
  std::int64_t lease_ = 0;          // the thread's own; 0: none
  std::jthread thread_;
};

}  // namespace trialwire::discovery
