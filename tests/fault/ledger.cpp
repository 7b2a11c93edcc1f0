// SPDX-License-Identifier: Apache-2.0
#include "fault/ledger.hpp"

#include <algorithm>
#include <chrono>

#include "base/check.hpp"

namespace trialwire::fault {

using journal::Receipt;
using journal::Record;
using journal::RecordAttributes;

namespace {

// An attempt's time of receipt tells it from every other. A millisecond apart, which is as fine as
// a record's id goes.
constexpr std::int64_t attempt_step_ns = 1'000'000;
constexpr std::string_view marker = "TWREC<";
constexpr std::size_t marker_bytes = 6 + 16 + 1 + 2 + 1;  // TWREC<key:version>

std::string content(std::uint64_t key, std::uint32_t version, std::size_t size) {
  std::string text = fmt::format("{}{:016x}:{:02x}>", marker, key, version);
  TW_CHECK(text.size() == marker_bytes);
  Random filler(key * 977 + version);
  while (text.size() < size) {
    const std::uint64_t word = filler.next();
    text.append(reinterpret_cast<const char*>(&word), std::min<std::size_t>(8, size - text.size()));
  }
  return text;
}

std::string pick_text(Random& random, std::size_t size_max) {
  if (random.one_in(2)) return {};
  return std::string(random.one_in(8) ? size_max : random.below(40), 'x');
}

}  // namespace

void Group::committed(const Receipt& receipt) noexcept {
  std::scoped_lock lock(ledger->mutex_);
  if (state != State::pending) {
    ledger->verdict_.fail("group {} was answered in state {}: twice, or after it was taken back",
                          id, static_cast<int>(state));
    return;
  }
  if (receipt.state == Receipt::State::durable) state = State::durable;
  if (receipt.state == Receipt::State::conflict) state = State::conflict;
  if (receipt.state == Receipt::State::refused) state = State::refused;
  stored = receipt.stored;
  duplicates = receipt.duplicates;
  first_sequence = receipt.first_sequence;
  first_record_id = receipt.first_record_id;
  conflicts.assign(receipt.conflicts.begin(), receipt.conflicts.end());
  if (state == State::durable && !receipt.synced) {
    ledger->verdict_.fail("group {}: answered as not synced", id);
  }
  ledger->note_receipt(*this);
}

Ledger::Ledger(std::uint64_t seed, bool dedupe, Verdict& verdict)
    : seed_(seed),
      // Near now, so that the window of identities holds all of them.
      first_received_ns_(
          std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count()),
      dedupe_(dedupe),
      verdict_(verdict) {}

// --- sending -------------------------------------------------------------------------------------

Group& Ledger::open_group(std::uint32_t shard, std::uint32_t run, journal::GroupMode mode) {
  std::scoped_lock lock(mutex_);
  Group& group = groups_.emplace_back();
  group.ledger = this;
  group.id = groups_.size() - 1;
  group.shard = shard;
  group.run = run;
  group.mode = mode;
  return group;
}

Record Ledger::add(Group& group, const Wish& wish, Random& random) {
  std::scoped_lock lock(mutex_);
  const std::uint64_t id = attempts_.size();
  // Attempts of a group are found by counting, so groups are filled one after the other; with
  // several senders at once an attempt may come between, and says itself whose it is.
  if (group.count == 0) group.first_attempt = id;
  Attempt& attempt = attempts_.emplace_back();
  attempt.key = wish.key ? *wish.key : next_key_++;
  const auto [first, is_new] = group_of_key_.emplace(attempt.key, group.id);
  if (!is_new) group.fresh = groups_[first->second].fresh = false;
  attempt.version = wish.version;
  attempt.group = group.id;
  attempt.bytes = content(attempt.key, attempt.version, std::max(wish.bytes, marker_bytes));
  attempt.principal = pick_text(random, 255);
  attempt.origin = pick_text(random, 255);
  attempt.traceparent = pick_text(random, 55);
  RecordAttributes& attributes = attempt.attributes;
  attributes.kind = static_cast<journal::RecordKind>(random.between(1, 7));
  attributes.content_type = static_cast<journal::ContentType>(random.between(1, 3));
  attributes.flags = static_cast<std::uint8_t>(random.below(256));
  attributes.received_ns = first_received_ns_ + static_cast<std::int64_t>(id) * attempt_step_ns;
  Random identity(seed_ * 31 + attempt.key);
  attributes.identity = {identity.next(), identity.next()};
  attributes.content_hash = attributes.identity.low * 7 + attempt.version;
  attributes.key_hash = static_cast<std::uint32_t>(attributes.identity.high);
  attributes.principal = attempt.principal;
  attributes.origin = attempt.origin;
  attributes.traceparent = attempt.traceparent;
  if (wish.submission_count > 0) {
    store_le(attributes.submission.bytes.data(), group.id + 1);
    attributes.submission_index = group.count;
    attributes.submission_count = wish.submission_count;
  }
  ++group.count;
  Record record;
  record.attributes = attributes;
  record.bytes = as_bytes(attempt.bytes);
  return record;
}

void Ledger::close_group(Group& group, Group::State state) {
  std::scoped_lock lock(mutex_);
  const bool was_pending = group.state == Group::State::pending;
  group.state = state;
  auto& unanswered = unanswered_[{group.shard, group.run}];
  if (state == Group::State::pending) ++unanswered;
  if (was_pending) --unanswered;
}

std::optional<std::uint64_t> Ledger::used_key(Random& random) const {
  std::scoped_lock lock(mutex_);
  if (next_key_ == 1) return std::nullopt;
  // Half of them recent: still in flight, or in the batch that is being built.
  const std::uint64_t reach =
      random.one_in(2) ? std::min<std::uint64_t>(next_key_ - 1, 8) : next_key_ - 1;
  return next_key_ - 1 - random.below(reach);
}

void Ledger::note_receipt(Group& group) {
  --unanswered_[{group.shard, group.run}];
  totals_.conflicts += group.conflicts.size();
  if (group.state != Group::State::durable) return;
  if (group.stored + group.duplicates + group.conflicts.size() != group.count) {
    verdict_.fail("group {}: {} stored, {} known and {} in conflict are not {}", group.id,
                  group.stored, group.duplicates, group.conflicts.size(), group.count);
    return;
  }
  if (group.stored > 0) ++totals_.stored_answers;
  totals_.duplicates += group.duplicates;
  totals_.acknowledged += group.count - group.conflicts.size();
  std::uint32_t index = 0;
  std::size_t conflict = 0;
  const bool all_new = group.stored == group.count;
  for (std::uint64_t id = group.first_attempt; index < group.count; ++id) {
    const Attempt& attempt = attempts_[id];
    if (attempt.group != group.id) continue;
    if (conflict < group.conflicts.size() && group.conflicts[conflict] == index) {
      ++conflict;
    } else {
      acknowledged_keys_.insert(attempt.key);
      if (all_new) establish(group.first_sequence + index, id, "its receipt");
    }
    ++index;
  }
  if (conflict != group.conflicts.size()) {
    verdict_.fail("group {}: conflicts are not ascending indexes of the group", group.id);
  }
}

void Ledger::excuse(std::uint32_t run) {
  std::scoped_lock lock(mutex_);
  excused_.insert(run);
}

std::size_t Ledger::unanswered(std::uint32_t shard, std::uint32_t run) const {
  std::scoped_lock lock(mutex_);
  const auto found = unanswered_.find({shard, run});
  return found == unanswered_.end() ? 0 : found->second;
}

Ledger::Totals Ledger::totals() const {
  std::scoped_lock lock(mutex_);
  return totals_;
}

// --- reading back --------------------------------------------------------------------------------

std::optional<std::uint64_t> Ledger::attempt_of(const Record& record) const {
  const std::int64_t since = record.attributes.received_ns - first_received_ns_;
  if (since < 0 || since % attempt_step_ns != 0) return std::nullopt;
  const auto id = static_cast<std::uint64_t>(since / attempt_step_ns);
  return id < attempts_.size() ? std::optional(id) : std::nullopt;
}

std::string Ledger::describe(std::uint64_t attempt) const {
  const Attempt& sent = attempts_[attempt];
  const Group& group = groups_[sent.group];
  return fmt::format("attempt {} (key {} version {}, group {} of {} in state {}, shard {}, run {})",
                     attempt, sent.key, sent.version, group.id, group.count,
                     static_cast<int>(group.state), group.shard, group.run);
}

std::optional<Recovered> Ledger::recognise(const Record& record, const Uuid& journal) {
  std::scoped_lock lock(mutex_);
  const auto known = attempt_of(record);
  if (!known) {
    verdict_.fail("invented: sequence {} was never sent", record.sequence);
    return std::nullopt;
  }
  const std::uint64_t id = *known;
  const RecordAttributes& is = record.attributes;
  const RecordAttributes& was = attempts_[id].attributes;
  const bool same =
      is.kind == was.kind && is.content_type == was.content_type && is.flags == was.flags &&
      is.identity == was.identity && is.content_hash == was.content_hash &&
      is.key_hash == was.key_hash && is.principal == was.principal && is.origin == was.origin &&
      is.traceparent == was.traceparent && is.submission == was.submission &&
      is.submission_index == was.submission_index && is.submission_count == was.submission_count &&
      as_text(record.bytes) == attempts_[id].bytes;
  if (!same) {
    verdict_.fail("changed: sequence {} is not as {} sent it", record.sequence, describe(id));
    return std::nullopt;
  }
  return Recovered{record.sequence, id,
                   record_id({journal, record.epoch, record.sequence, is.received_ns})};
}

std::set<std::uint64_t> Ledger::acknowledged_keys_in(std::span<const std::byte> file) const {
  std::scoped_lock lock(mutex_);
  std::set<std::uint64_t> keys;
  const std::string_view text = as_text(file);
  for (std::size_t at = text.find(marker); at != text.npos; at = text.find(marker, at + 1)) {
    const std::string digits(text.substr(at + marker.size(), 16));
    const std::uint64_t key = std::strtoull(digits.c_str(), nullptr, 16);
    if (acknowledged_keys_.contains(key)) keys.insert(key);
  }
  return keys;
}

std::uint64_t Ledger::key_of(std::uint64_t attempt) const {
  std::scoped_lock lock(mutex_);
  return attempts_[attempt].key;
}

void Ledger::establish(std::uint64_t sequence, std::uint64_t attempt, const char* by) {
  if (attempt >= attempts_.size()) {
    verdict_.fail("invented: attempt {} by {}", attempt, by);
    return;
  }
  const auto state = groups_[attempts_[attempt].group].state;
  if (state != Group::State::pending && state != Group::State::durable) {
    verdict_.fail("stored though its sender was told otherwise: sequence {}, {}, by {}", sequence,
                  describe(attempt), by);
  }
  const auto [at, new_sequence] = attempt_at_.emplace(sequence, attempt);
  if (at->second != attempt) {
    verdict_.fail("sequence {} was {}, is {} by {}", sequence, describe(at->second),
                  describe(attempt), by);
  }
  const auto [of, new_attempt] = sequence_of_attempt_.emplace(attempt, sequence);
  if (of->second != sequence) {
    verdict_.fail("stored twice: {} at {} and, by {}, at {}", describe(attempt), of->second, by,
                  sequence);
  }
  if (!dedupe_) return;
  const auto [place, new_key] =
      place_of_key_.emplace(attempts_[attempt].key, Place{sequence, attempt});
  if (place->second.sequence != sequence) {
    verdict_.fail("one identity stored twice: {} at {}, {} at {} by {}",
                  describe(place->second.attempt), place->second.sequence, describe(attempt),
                  sequence, by);
  }
}

void Ledger::check(const Found& found) {
  std::scoped_lock lock(mutex_);
  std::uint64_t expected = found.begin;
  for (const Recovered& record : found.records) {
    if (record.sequence != expected++) {
      verdict_.fail("sequence {} where {} follows", record.sequence, expected - 1);
      return;
    }
    establish(record.sequence, record.attempt, "recovery");
  }
  if (expected != found.end) {
    verdict_.fail("read up to {}, but the journal says that it ends at {}", expected, found.end);
  }
  check_rows(found);
  check_nothing_lost(found);
  check_receipts(found);
  check_order();
}

void Ledger::check_rows(const Found& found) {
  if (found.sink_cursor > found.end) {
    verdict_.fail(
        "the sink is at {}, but the journal ends at {}: it was given what was not durable",
        found.sink_cursor, found.end);
  }
  if (found.sink_cursor < found.begin) {
    verdict_.fail("the sink is at {}, but the journal begins at {}: deleted before it was consumed",
                  found.sink_cursor, found.begin);
  }
  std::uint64_t expected = 1;
  for (const Row& row : found.rows) {
    if (row.sequence != expected++) {
      verdict_.fail("the sink has a row of sequence {} where {} follows", row.sequence,
                    expected - 1);
      return;
    }
    establish(row.sequence, row.attempt, "the sink");
  }
  if (expected != found.sink_cursor) {
    verdict_.fail("the sink's rows end before {}, its cursor is {}", expected, found.sink_cursor);
  }
}

void Ledger::check_nothing_lost(const Found& found) {
  for (const auto& [sequence, attempt] : attempt_at_) {
    // Below `begin` the sink has it: its rows are contiguous and its cursor is past `begin`.
    if (sequence >= found.begin && sequence >= found.end) {
      verdict_.fail("lost: sequence {}, {}; the journal ends at {}", sequence, describe(attempt),
                    found.end);
      return;
    }
  }
}

void Ledger::check_receipts(const Found& found) {
  for (const Group& group : groups_) {
    if (group.state == Group::State::durable && group.count > 0) check_receipt(group, found);
    if (group.state == Group::State::conflict && group.conflicts.empty()) {
      verdict_.fail("group {}: in conflict, but with nothing", group.id);
    }
    if (verdict_.failed()) return;
  }
}

void Ledger::check_receipt(const Group& group, const Found& found) {
  if (group.mode == journal::GroupMode::all_or_none && !group.conflicts.empty()) {
    verdict_.fail("group {}: all or none, and stored with conflicts", group.id);
  }
  std::uint32_t index = 0, stored_here = 0;
  bool first = true;
  for (std::uint64_t id = group.first_attempt; index < group.count; ++id) {
    const Attempt& attempt = attempts_[id];
    if (attempt.group != group.id) continue;
    const bool conflict = std::ranges::binary_search(group.conflicts, index);
    ++index;
    stored_here += sequence_of_attempt_.contains(id) ? 1 : 0;
    if (!dedupe_) continue;
    const auto place = place_of_key_.find(attempt.key);
    if (place == place_of_key_.end()) {
      verdict_.fail("lost: {} was acknowledged and is nowhere", describe(id));
      return;
    }
    const bool same = attempts_[place->second.attempt].version == attempt.version;
    if (same == conflict) {
      verdict_.fail("{}: stored is {}, but the receipt says {}", describe(id),
                    describe(place->second.attempt), conflict ? "conflict" : "stored");
    }
    if (conflict || !first) continue;
    first = false;
    if (place->second.sequence != group.first_sequence) {
      verdict_.fail("{}: its receipt says sequence {}, it is at {}", describe(id),
                    group.first_sequence, place->second.sequence);
    }
    for (const Recovered& record : found.records) {
      if (record.sequence == group.first_sequence && record.record_id != group.first_record_id) {
        verdict_.fail("{}: its receipt names another record id than sequence {} has", describe(id),
                      record.sequence);
      }
    }
  }
  if (stored_here != group.stored) {
    verdict_.fail("group {}: {} records of it are stored, its receipt says {}", group.id,
                  stored_here, group.stored);
  }
}

void Ledger::check_order() {
  std::map<std::uint32_t, std::uint64_t> last;                               // of a shard
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> missing;  // group, of shard, run
  for (const Group& group : groups_) {
    std::uint32_t index = 0, stored = 0;
    for (std::uint64_t id = group.first_attempt; index < group.count; ++id) {
      if (attempts_[id].group != group.id) continue;
      ++index;
      const auto at = sequence_of_attempt_.find(id);
      if (at == sequence_of_attempt_.end()) continue;
      ++stored;
      auto& before = last[group.shard];
      if (at->second <= before) {
        verdict_.fail("order: {} is at {}, after {}", describe(id), at->second, before);
      }
      before = at->second;
    }
    if (!group.fresh || group.count == 0) continue;
    if (stored != 0 && stored != group.count) {
      verdict_.fail("group {} was split: {} of {} are stored", group.id, stored, group.count);
    }
    if (group.state != Group::State::pending && group.state != Group::State::durable) continue;
    const auto gap = missing.find({group.shard, group.run});
    // Answers come in order: behind an acknowledged group there is none without an answer.
    const bool acknowledged = group.state == Group::State::durable;
    if (stored > 0 && gap != missing.end() && (acknowledged || !excused_.contains(group.run))) {
      verdict_.fail("{} is stored, but {} before it is not", describe(group.first_attempt),
                    describe(groups_[gap->second].first_attempt));
    }
    if (stored == 0) missing.emplace(std::pair(group.shard, group.run), group.id);
  }
}

}  // namespace trialwire::fault
