// SPDX-License-Identifier: Apache-2.0
#include "fault/client.hpp"

namespace trialwire::fault {

using journal::GroupMode;

Client::Client(const Plan& plan, Place place, Ledger& ledger, Bell& bell, Random random)
    : plan_(plan), place_(place), ledger_(ledger), bell_(bell), random_(random) {}

void Client::attach(journal::Journal& journal) {
  port_ = journal.add_shard([this] {
    ready_ = true;
    bell_.ring();
  });
}

void Client::turn() {
  for (std::uint64_t n = random_.below(plan_.groups_a_turn + 1); n > 0; --n) append_group();
  port_.appender->flush();
  take_answers();
}

void Client::take_answers() {
  if (ready_.exchange(false)) port_.deliver();
}

std::size_t Client::unanswered() const {
  return ledger_.unanswered(place_.shard, place_.run);
}

Ledger::Wish Client::wish(GroupMode mode, std::uint32_t count) {
  Ledger::Wish wish;
  wish.bytes = random_.between(30, plan_.record_bytes);
  if (random_.one_in(60)) wish.bytes = random_.between(4'000, 12'000);
  if (mode == GroupMode::all_or_none && count > 1) wish.submission_count = count;
  if (random_.percent(20)) {
    wish.key = ledger_.used_key(random_);
    if (wish.key && random_.percent(20)) wish.version = 1;  // another story under the same name
  }
  return wish;
}

void Client::append_group() {
  const auto mode = random_.one_in(3) ? GroupMode::all_or_none : GroupMode::each;
  std::uint32_t count = random_.one_in(3) ? static_cast<std::uint32_t>(random_.between(1, 9)) : 1;
  if (random_.one_in(100)) count = 0;
  if (!port_.appender->admit(count * plan_.record_bytes)) {
    ++refused_;
    return;
  }
  Group& group = ledger_.open_group(place_.shard, place_.run, mode);
  port_.appender->begin(mode);
  for (std::uint32_t i = 0; i < count; ++i) {
    port_.appender->add(ledger_.add(group, wish(mode, count), random_));
  }
  if (random_.one_in(40)) {
    port_.appender->cancel();
    ledger_.close_group(group, Group::State::cancelled);
    return;
  }
  ledger_.close_group(group, Group::State::pending);
  const std::uint64_t ticket = port_.appender->end(group);
  if (count == 0 || !random_.one_in(25)) return;
  if (random_.one_in(2)) port_.appender->flush();
  if (port_.appender->withdraw(ticket)) ledger_.close_group(group, Group::State::withdrawn);
}

}  // namespace trialwire::fault
