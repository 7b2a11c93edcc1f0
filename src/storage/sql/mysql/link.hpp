// SPDX-License-Identifier: Apache-2.0
// Private to connection.cpp and statement.cpp: libmariadb's handle, driven through its non-blocking
// calls, so that each wait can be ended by a deadline or by another thread.
//
// A call that is given up has its socket shut down and is driven to its end: the library sees a
// lost connection and leaves its own state in order. The handle is of no use afterwards.
#pragma once
#include <mysql.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "storage/sql/interrupt.hpp"

namespace trialwire::storage::mysql {

struct Link {
  explicit Link(std::string server) : name(std::move(server)), handle(mysql_init(nullptr)) {}
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  enum class Ended : std::uint8_t { no, interrupted, deadline };

  /// Runs one of the library's calls to its end: `start()` and `go_on(events)` give the events that
  /// it waits for, 0 when it is done.
  template <typename Start, typename GoOn>
  void drive(const Patience& patience, Start start, GoOn go_on) {
    int events = start();
    while (events != 0) events = go_on(wait(events, patience));
  }
  /// Those of `events` that came; all, when the call is given up.
  int wait(int events, const Patience& patience) noexcept;

  /// The error of the call that just failed, of the handle or of one of its statements.
  Error error(std::string_view doing, unsigned number, const char* sqlstate);
  Error error(std::string_view doing) {
    return error(doing, mysql_errno(handle), mysql_sqlstate(handle));
  }
  void shut_down() noexcept;

  std::string name;
  MYSQL* handle;
  Ended ended = Ended::no;
  bool broken = false;
  unsigned number = 0;  // of the last error
};

}  // namespace trialwire::storage::mysql
