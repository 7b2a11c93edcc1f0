// SPDX-License-Identifier: Apache-2.0
#include "runtime/shard.hpp"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "support/event.hpp"

namespace trialwire::runtime {
namespace {

struct SocketPair {
  SocketPair() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0); }
  ~SocketPair() {
    for (int end : ends) ::close(end);
  }
  std::array<int, 2> ends{};
};

using support::on;

struct Counting final : Watcher {
  void ready(std::uint32_t events) noexcept override {
    ++calls;
    seen |= events;
    if (then) then();
  }
  int calls = 0;
  std::uint32_t seen = 0;
  std::function<void()> then;
};

TEST(Shard, posted_work_runs_on_its_thread_in_order) {
  Shard shard(3);
  shard.start();
  std::vector<int> order;
  std::thread::id where;
  shard.post([&] { order.push_back(1); });
  shard.post([&] { order.push_back(2); });
  on(shard, [&] { where = std::this_thread::get_id(); });
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_NE(where, std::this_thread::get_id());
  EXPECT_EQ(shard.index(), 3U);
}

TEST(Shard, work_posted_from_many_threads_all_runs) {
  Shard shard(0);
  shard.start();
  int count = 0;
  support::Event all;
  std::vector<std::thread> posters;
  for (int t = 0; t < 4; ++t) {
    posters.emplace_back([&] {
      for (int i = 0; i < 5'000; ++i)
        shard.post([&] {
          if (++count == 20'000) all.set();
        });
    });
  }
  all.wait();
  for (auto& poster : posters) poster.join();
  EXPECT_EQ(count, 20'000);
}

TEST(Shard, a_readable_socket_is_told_to_its_watcher) {
  Shard shard(0);
  SocketPair pair;
  Counting watcher;
  support::Event readable;
  watcher.then = [&, told = false]() mutable {
    if ((watcher.seen & EPOLLIN) && !told) {
      told = true;
      readable.set();
    }
  };
  ASSERT_TRUE(shard.watch(pair.ends[0], watcher));
  shard.start();
  ASSERT_EQ(::write(pair.ends[1], "x", 1), 1);
  readable.wait();
  on(shard, [&] { shard.forget(pair.ends[0], watcher); });
}

TEST(Shard, a_socket_that_is_closed_cannot_be_watched) {
  Shard shard(0);
  Counting watcher;
  auto watched = shard.watch(-1, watcher);
  ASSERT_FALSE(watched);
  EXPECT_EQ(watched.error().code, ErrorCode::io);
}

TEST(Shard, a_watcher_forgotten_within_a_turn_hears_nothing_more) {
  Shard shard(0);
  SocketPair a;
  SocketPair b;
  Counting first;
  Counting second;
  // Both are ready in the same turn; whichever is told first forgets the other.
  first.then = [&] { shard.forget(b.ends[0], second); };
  second.then = [&] { shard.forget(a.ends[0], first); };
  ASSERT_TRUE(shard.watch(a.ends[0], first));
  ASSERT_TRUE(shard.watch(b.ends[0], second));
  shard.start();
  on(shard, [] {});
  on(shard, [] {});
  on(shard, [&] {
    EXPECT_EQ(first.calls + second.calls, 1);
    shard.forget(a.ends[0], first);
    shard.forget(b.ends[0], second);
  });
}

TEST(Shard, hooks_run_after_posted_and_soon_work_of_the_turn) {
  struct Soon final : Runnable {
    void run() noexcept override { order->push_back('s'); }
    std::vector<char>* order = nullptr;
  };
  std::vector<char> order;
  Soon soon;
  soon.order = &order;
  Shard shard(0);
  shard.at_turn_end([&] { order.push_back('1'); });
  shard.at_turn_end([&] { order.push_back('2'); });
  shard.start();
  on(shard, [&] {
    order.clear();
    shard.soon(soon);
    shard.soon(soon);
    order.push_back('p');
  });
  std::vector<char> seen;
  on(shard, [&] { seen = order; });
  EXPECT_EQ(std::string(seen.begin(), seen.end()).substr(0, 4), "ps12");
}

TEST(Shard, soon_work_queued_by_a_hook_runs_without_a_wake_up) {
  struct Soon final : Runnable {
    void run() noexcept override { done.set(); }
    support::Event done;
  };
  Soon soon;
  Shard shard(0);
  shard.at_turn_end([&, queued = false]() mutable {
    if (!queued) shard.soon(soon);
    queued = true;
  });
  shard.start();
  shard.post([] {});
  soon.done.wait();
}

TEST(Shard, destroyed_soon_work_does_not_run) {
  struct Soon final : Runnable {
    void run() noexcept override { ADD_FAILURE() << "ran"; }
  };
  Shard shard(0);
  shard.start();
  on(shard, [&] {
    Soon soon;
    shard.soon(soon);
  });
  on(shard, [] {});
}

TEST(Shard, an_exception_in_posted_work_leaves_the_shard_running) {
  Shard shard(0);
  shard.start();
  shard.post([] { throw std::runtime_error("on purpose"); });
  bool ran = false;
  on(shard, [&] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST(Shard, asio_timers_fire_and_posts_and_sockets_are_served_while_one_waits) {
  Shard shard(0);
  SocketPair pair;
  Counting watcher;
  support::Event readable;
  watcher.then = [&, told = false]() mutable {
    if ((watcher.seen & EPOLLIN) && !told) {
      told = true;
      readable.set();
    }
  };
  ASSERT_TRUE(shard.watch(pair.ends[0], watcher));
  shard.start();
  boost::asio::steady_timer never(shard.context(), std::chrono::hours(1));
  boost::asio::steady_timer timer(shard.context());
  support::Event fired;
  on(shard, [&] {
    never.async_wait([](boost::system::error_code) {});
    timer.expires_after(std::chrono::milliseconds(5));
    timer.async_wait([&](boost::system::error_code) { fired.set(); });
  });
  fired.wait();
  on(shard, [] {});
  ASSERT_EQ(::write(pair.ends[1], "x", 1), 1);
  readable.wait();
  on(shard, [&] {
    never.cancel();
    shard.forget(pair.ends[0], watcher);
  });
  shard.stop();
}

TEST(Shard, an_idle_shard_sleeps) {
  for (bool with_asio : {false, true}) {
    Shard shard(0);
    std::atomic<int> turns{0};
    int ticks = 0;
    support::Event third_tick;
    shard.at_turn_end([&] { ++turns; });
    shard.at_tick([&] {
      if (++ticks == 3) third_tick.set();
    });
    boost::asio::steady_timer never(shard.context(), std::chrono::hours(1));
    shard.start();
    if (with_asio) on(shard, [&] { never.async_wait([](boost::system::error_code) {}); });
    third_tick.wait();
    EXPECT_LE(turns, 10);
    on(shard, [&] { never.cancel(); });
    shard.stop();
  }
}

TEST(Shard, the_clock_is_read_once_a_turn_and_advances) {
  Shard shard(0);
  shard.start();
  std::int64_t first = 0;
  std::int64_t second = 0;
  on(shard, [&] { first = shard.now_ns(); });
  on(shard, [&] {
    second = shard.now_ns();
    EXPECT_GT(shard.unix_now_ns(), std::int64_t{1'500'000'000'000'000'000});
  });
  EXPECT_GT(first, 0);
  EXPECT_GE(second, first);
}

TEST(Shard, stop_is_idempotent_and_drops_later_posts) {
  Shard shard(0);
  shard.start();
  EXPECT_TRUE(shard.running());
  shard.stop();
  shard.stop();
  EXPECT_FALSE(shard.running());
  shard.post([] { ADD_FAILURE() << "ran after stop"; });
}

}  // namespace
}  // namespace trialwire::runtime
