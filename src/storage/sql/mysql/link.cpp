// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/link.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include <fmt/format.h>

#include "storage/sql/mysql/error_number.hpp"

namespace trialwire::storage::mysql {
namespace {

using Clock = std::chrono::steady_clock;

/// What poll takes: rounded up, so that it does not wake before the deadline; -1: for ever.
int wait_ms(Clock::time_point deadline) noexcept {
  if (deadline == Clock::time_point::max()) return -1;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<decltype(left)>(left, 0, 60'000));
}

short poll_events(int events) noexcept {
  int wanted = 0;
  if ((events & MYSQL_WAIT_READ) != 0) wanted |= POLLIN;
  if ((events & MYSQL_WAIT_WRITE) != 0) wanted |= POLLOUT;
  if ((events & MYSQL_WAIT_EXCEPT) != 0) wanted |= POLLPRI;
  return static_cast<short>(wanted);
}

/// An error or a hang-up is something to read and to write: the library finds out what.
int came(int events, int found) noexcept {
  constexpr int end = POLLERR | POLLHUP | POLLNVAL;
  int ready = 0;
  if ((found & (POLLIN | end)) != 0) ready |= MYSQL_WAIT_READ;
  if ((found & (POLLOUT | end)) != 0) ready |= MYSQL_WAIT_WRITE;
  if ((found & (POLLPRI | end)) != 0) ready |= MYSQL_WAIT_EXCEPT;
  return ready & events;
}

/// Was it the client library, or the server saying that this was its last word?
bool ends_connection(unsigned number) noexcept {
  constexpr std::array last_words{1053U, 1079U, 1152U, 1153U, 1184U, 1927U, 4031U};
  return (number >= 2000 && number < 3000) ||
         std::ranges::find(last_words, number) != last_words.end();
}

}  // namespace

Link::~Link() {
  if (handle == nullptr) return;
  if (broken) shut_down();  // it must not wait to say good-bye
  mysql_close(handle);
}

void Link::shut_down() noexcept {
  broken = true;
  my_socket socket = mysql_get_socket(handle);
  if (socket >= 0) ::shutdown(socket, SHUT_RDWR);
}

int Link::wait(int events, const Patience& patience) noexcept {
  // With what it waited for, so that a call that looks again finds the socket's end.
  const int give_up = (events & ~MYSQL_WAIT_TIMEOUT) | MYSQL_WAIT_TIMEOUT;
  if (ended != Ended::no) return give_up;
  const int interrupt = patience.interrupt != nullptr ? patience.interrupt->descriptor() : -1;
  while (true) {
    std::array<pollfd, 2> asked{{
        {.fd = mysql_get_socket(handle), .events = poll_events(events), .revents = 0},
        {.fd = interrupt, .events = POLLIN, .revents = 0},
    }};
    int found = ::poll(asked.data(), asked.size(), wait_ms(patience.deadline));
    if (found < 0 && errno != EINTR) break;
    if (found > 0 && asked[1].revents != 0) {
      ended = Ended::interrupted;
      break;
    }
    if (found > 0) return came(events, asked[0].revents);
    if (Clock::now() >= patience.deadline) {
      ended = Ended::deadline;
      break;
    }
  }
  shut_down();
  return give_up;
}

Error Link::error(std::string_view doing, unsigned error_number, const char* sqlstate) {
  number = 0;
  if (ended == Ended::interrupted) {
    return {ErrorCode::cancelled, fmt::format("mysql {}: {}: given up", name, doing)};
  }
  if (ended == Ended::deadline) {
    return {ErrorCode::deadline_exceeded,
            fmt::format("mysql {}: {}: no answer in time", name, doing)};
  }
  number = error_number;
  if (ends_connection(number)) broken = true;
  const std::string refused_by = refuses(number, mysql_error(handle));
  const ErrorNumber of{number, sqlstate, system_error(number, mysql_error(handle)), refused_by};
  return {error_code(of), fmt::format("mysql {}: {}: {}", name, doing, describe(of))};
}

}  // namespace trialwire::storage::mysql
