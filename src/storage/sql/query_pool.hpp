// SPDX-License-Identifier: Apache-2.0
// What the record queries of all databases have in common: a few connections that are made when
// they are needed and kept, and when a query is given up.
#pragma once
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "storage/record_query.hpp"

namespace trialwire::storage {

/// Whether nobody waits for the answer any more.
bool given_up(const QueryControl& control) noexcept;
/// Why it was: cancelled or deadline_exceeded.
Error reason_to_give_up(const QueryControl& control);
/// What the asker hears of an error: a wrong password, a missing right or database are not theirs.
Error for_asker(Error error);

/// At most `connections_max` at once; any thread. `Connection` is whatever one query needs.
template <typename Connection>
class QueryPool {
 public:
  using Pointer = std::unique_ptr<Connection>;

  explicit QueryPool(std::size_t connections_max) noexcept : connections_max_(connections_max) {}

  /// One that idled and is `usable`, or what `connect` makes. Errors: overloaded, when all are in
  /// use; those of `connect`.
  template <typename Usable, typename Connect>
  Result<Pointer> take(Usable usable, Connect connect) {
    {
      const std::lock_guard lock(mutex_);
      while (!idle_.empty()) {
        Pointer connection = std::move(idle_.back());
        idle_.pop_back();
        if (usable(*connection)) return connection;
        --open_;
      }
      if (open_ >= connections_max_) {
        return fail(ErrorCode::overloaded, "all database connections are in use");
      }
      ++open_;
    }
    Result<Pointer> connection = connect();
    if (!connection) give_back(nullptr);
    return connection;
  }
  template <typename Connect>
  Result<Pointer> take(Connect connect) {
    return take([](const Connection&) { return true; }, std::move(connect));
  }

  /// After its query; null: it is of no use any more.
  void give_back(Pointer connection) {
    const std::lock_guard lock(mutex_);
    if (connection) {
      idle_.push_back(std::move(connection));
    } else {
      --open_;
    }
  }

 private:
  const std::size_t connections_max_;
  std::mutex mutex_;  // of what follows
  std::vector<Pointer> idle_;
  std::size_t open_ = 0;
};

}  // namespace trialwire::storage
