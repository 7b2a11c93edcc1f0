// SPDX-License-Identifier: Apache-2.0
// What each connection of a shard waits for, and since when. All that wait for the same kind of
// thing have the same limit, so each kind is a list in order of arrival: to start, restart or end a
// wait is O(1), and a check looks at the front alone. Waits with an end of their own are kept by it
// besides, in O(log n). Shard's thread only.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

namespace trialwire::net {

enum class Timeout : std::uint8_t { idle, header, body, deadline, write, linger, count_ };

constexpr std::array<std::string_view, static_cast<std::size_t>(Timeout::count_)> timeout_names{
    "idle", "header", "body", "deadline", "write", "linger"};

struct TimeoutTag;
struct OwnTimeoutTag;

using TimeoutListHook =
    boost::intrusive::list_base_hook<boost::intrusive::tag<TimeoutTag>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
using OwnTimeoutHook =
    boost::intrusive::set_base_hook<boost::intrusive::tag<OwnTimeoutTag>,
                                    boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

class TimeoutHook : public TimeoutListHook, public OwnTimeoutHook {
 public:
  bool armed() const noexcept {
    return TimeoutListHook::is_linked() || OwnTimeoutHook::is_linked();
  }
  bool armed_as(Timeout kind) const noexcept { return armed() && kind_ == kind; }
  void disarm() noexcept {
    if (TimeoutListHook::is_linked()) TimeoutListHook::unlink();
    if (OwnTimeoutHook::is_linked()) OwnTimeoutHook::unlink();
  }

 protected:
  ~TimeoutHook() = default;

 private:
  friend class Timeouts;
  std::int64_t since_ns_ = 0;  // with an end of its own: that
  Timeout kind_ = Timeout::idle;
};

class Timeouts {
 public:
  void limit(Timeout kind, std::chrono::nanoseconds limit) noexcept {
    limits_[static_cast<std::size_t>(kind)] = limit.count();
  }

  /// Begins anew when it is armed already.
  void arm(TimeoutHook& hook, Timeout kind, std::int64_t now_ns) noexcept {
    hook.disarm();
    hook.kind_ = kind;
    hook.since_ns_ = now_ns;
    lists_[static_cast<std::size_t>(kind)].push_back(hook);
  }

  /// Until `end_ns`, whatever the limit of its kind.
  void arm_until(TimeoutHook& hook, Timeout kind, std::int64_t end_ns) noexcept {
    hook.disarm();
    hook.kind_ = kind;
    hook.since_ns_ = end_ns;
    own_.insert(hook);
  }
  std::int64_t limit_ns(Timeout kind) const noexcept {
    return limits_[static_cast<std::size_t>(kind)];
  }

  /// Calls `expired(hook, kind)` for those that are over their limit, disarmed, but for at most so
  /// many. True: there are more.
  template <typename Expired>
  bool check(std::int64_t now_ns, unsigned at_most, Expired expired) {
    for (std::size_t kind = 0; kind < lists_.size(); ++kind) {
      while (!lists_[kind].empty() && lists_[kind].front().since_ns_ + limits_[kind] <= now_ns) {
        if (at_most-- == 0) return true;
        TimeoutHook& hook = lists_[kind].front();
        hook.disarm();
        expired(hook, static_cast<Timeout>(kind));
      }
    }
    while (!own_.empty() && own_.begin()->since_ns_ <= now_ns) {
      if (at_most-- == 0) return true;
      TimeoutHook& hook = *own_.begin();
      const Timeout kind = hook.kind_;
      hook.disarm();
      expired(hook, kind);
    }
    return false;
  }

 private:
  struct ByEnd {
    bool operator()(const TimeoutHook& a, const TimeoutHook& b) const noexcept {
      return a.since_ns_ < b.since_ns_;
    }
  };
  using List = boost::intrusive::list<TimeoutHook, boost::intrusive::base_hook<TimeoutListHook>,
                                      boost::intrusive::constant_time_size<false>>;
  using Own = boost::intrusive::multiset<TimeoutHook, boost::intrusive::base_hook<OwnTimeoutHook>,
                                         boost::intrusive::compare<ByEnd>,
                                         boost::intrusive::constant_time_size<false>>;
  Own own_;
  std::array<List, static_cast<std::size_t>(Timeout::count_)> lists_;
  std::array<std::int64_t, static_cast<std::size_t>(Timeout::count_)> limits_{};
};

}  // namespace trialwire::net
