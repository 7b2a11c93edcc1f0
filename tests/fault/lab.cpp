// SPDX-License-Identifier: Apache-2.0
#include "fault/lab.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace trialwire::fault {

using journal::BatchHead;
using journal::block_bytes;
using journal::HeadState;

Lab::Lab(std::uint64_t seed, bool direct)
    : disk({.seed = seed,
            .direct = direct,
            .unsynced_names = support::FaultyOptions::Names::lost,
            .errors_only_in = "/journal"}),
      ledger(seed, true, verdict),
      random_(seed) {
  using namespace std::chrono_literals;
  options.directory = "/journal";
  options.segment_bytes = 64U << 10U;
  options.batch_bytes_max = 16U << 10U;
  options.commit_interval = 0us;
  // No sealing batch unless a scenario wants one: it would follow the last acknowledged batch.
  options.silence = 1h;
  options.dedupe_bytes = 64U << 10U;
  options.recent_bytes = 0;
  options.scrub_bytes_per_second = 0;
}

Lab::~Lab() {
  stop();
}

Result<void> Lab::open() {
  metrics_ = std::make_unique<telemetry::Registry>();
  auto opened = journal::Journal::open(options, disk, *metrics_);
  if (!opened) return std::unexpected(opened.error());
  journal_ = std::move(*opened);
  return {};
}

bool Lab::start() {
  ++run_;
  if (auto opened = open(); !opened) {
    verdict.fail("refuses to start: {}", opened.error().text);
    return false;
  }
  port_ = journal_->add_shard([this] {
    ready_ = true;
    bell_.ring();
  });
  fatal_ = false;
  journal_->start([this](const Error&) {
    fatal_ = true;
    bell_.ring();
  });
  return true;
}

void Lab::append(std::uint32_t records, std::size_t bytes) {
  for (std::uint32_t i = 0; i < records; ++i) append_one({.bytes = bytes});
}

void Lab::append_one(const Ledger::Wish& wish) {
  Group& group = ledger.open_group(0, run_, journal::GroupMode::each);
  port_.appender->begin(journal::GroupMode::each);
  port_.appender->add(ledger.add(group, wish, random_));
  ledger.close_group(group, Group::State::pending);
  port_.appender->end(group);
  port_.appender->flush();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!fatal_ && !verdict.failed() && disk.powered()) {
    const std::uint64_t rings = bell_.rings();
    if (ready_.exchange(false)) port_.deliver();
    if (ledger.unanswered(0, run_) == 0) return;
    bell_.wait_beyond(rings, std::chrono::milliseconds(5));
    if (std::chrono::steady_clock::now() > deadline) verdict.fail("no answer comes");
  }
}

void Lab::wait_for_spare() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!verdict.failed()) {
    for (const std::string& path : disk.paths()) {
      if (path.ends_with(".twj") && journal::all_zero(*disk.contents(path))) return;
    }
    bell_.wait_beyond(bell_.rings(), std::chrono::milliseconds(1));
    if (std::chrono::steady_clock::now() > deadline) verdict.fail("no segment is pre-written");
  }
}

void Lab::stop() {
  if (!journal_) return;
  journal_->stop();
  if (port_.deliver) port_.deliver();
  port_ = {};
  journal_.reset();
  metrics_.reset();
}

std::vector<std::string> Lab::segments() const {
  std::vector<std::string> found;
  for (const std::string& path : disk.paths()) {
    if (!path.starts_with("/journal/segment-") || !path.ends_with(".twj")) continue;
    if (!journal::all_zero(*disk.contents(path))) found.push_back(path);
  }
  std::ranges::sort(found);
  return found;
}

std::vector<Lab::BatchAt> Lab::batches(bool records) const {
  std::vector<BatchAt> found;
  for (const std::string& path : segments()) {
    const auto bytes = *disk.contents(path);
    for (std::uint64_t at = 0; at + block_bytes <= bytes.size();) {
      BatchHead head;
      if (journal::parse_head(ByteView(bytes).subspan(at, block_bytes), head) != HeadState::valid) {
        break;
      }
      if (!records || head.records > 0) found.push_back({path, at, head});
      at += head.bytes();
    }
  }
  return found;
}

journal::BatchPlace Lab::next_place() const {
  const BatchAt last = batches(false).back();
  const auto bytes = *disk.contents(last.path);
  return {.journal = last.head.journal,
          .epoch = last.head.epoch,
          .first_sequence = last.head.next_sequence(),
          .previous =
              journal::header_hash(ByteView(bytes).subspan(last.offset, last.head.header_bytes)),
          .segment = last.head.segment,
          .offset = last.offset + last.head.bytes(),
          .committed_ns = last.head.committed_ns + 1};
}

void Lab::forge(const std::string& path, const journal::BatchPlace& place,
                std::size_t payload_bytes) {
  journal::BatchBuffer batch;
  Attempt attempt{.bytes = std::string(payload_bytes, 'f')};
  journal::Record record;
  record.attributes.received_ns = 1;
  record.bytes = as_bytes(attempt.bytes);
  const MutableBytes payload = batch.begin(journal::encoded_size(record), 1);
  journal::encode_record(record, payload.data());
  batch.finish(place);
  patch(path, place.offset, batch.bytes());
}

// Offsets of the batch's head, as docs/journal-format.md has them.
constexpr std::size_t at_version = 8, at_table_crc = 60, at_head_crc = 188;

void Lab::reseal_without_payload_hash(MutableBytes batch, const BatchHead& head) {
  for (std::size_t i = 0; i < head.blocks; ++i) {
    const std::size_t end = (i + 1) * block_bytes;
    const std::size_t from =
        std::min(end, std::max<std::size_t>(i * block_bytes, head.header_bytes));
    store_le(&batch[journal::head_bytes + 4 * i], crc32c(batch.subspan(from, end - from)));
  }
  const auto table = batch.subspan(journal::head_bytes, head.header_bytes - journal::head_bytes);
  store_le(&batch[at_table_crc], crc32c(table));
  store_le(&batch[at_head_crc], crc32c(batch.first(at_head_crc)));
}

void Lab::set_version(MutableBytes batch, std::uint16_t version) {
  store_le(&batch[at_version], version);
  store_le(&batch[at_head_crc], crc32c(batch.first(at_head_crc)));
}

void Lab::patch(const std::string& path, std::uint64_t offset, ByteView bytes) {
  auto all = *disk.contents(path);
  TW_CHECK(offset + bytes.size() <= all.size());
  std::ranges::copy(bytes, all.begin() + static_cast<std::ptrdiff_t>(offset));
  disk.overwrite(path, std::move(all));
}

namespace {

/// The directory as it must be left; the lock's file is no content.
support::FaultyFiles::Snapshot contents_of(const support::FaultyFiles& disk) {
  auto all = disk.snapshot();
  all.erase("/journal/lock");
  return all;
}

}  // namespace

void Lab::expect_refusal(const Refusal& refusal) {
  const auto before = contents_of(disk);
  const auto row = static_cast<std::size_t>(refusal.row);
  const auto hits = journal::recovery_hits()[row];
  const auto opened = open();
  if (opened) {
    verdict.fail("starts, where {} was to be refused", journal::recovery_table()[row].label);
    journal_.reset();
    return;
  }
  const std::string& text = opened.error().text;
  if (opened.error().code != ErrorCode::corrupt && opened.error().code != ErrorCode::io) {
    verdict.fail("refuses as {}: {}", traits(opened.error().code).label, text);
  }
  if (!text.contains(refusal.file)) verdict.fail("does not name {}: {}", refusal.file, text);
  const std::string offset = fmt::format("offset {}", refusal.offset.value_or(0));
  if (refusal.offset && !text.contains(offset)) verdict.fail("does not name {}: {}", offset, text);
  if (journal::recovery_hits()[row] == hits) {
    verdict.fail("was not counted as {}: {}", journal::recovery_table()[row].label, text);
  }
  if (contents_of(disk) != before) verdict.fail("changed files, though it refused");
}

void Lab::expect_recovery(journal::RecoveryCase what) {
  const auto row = static_cast<std::size_t>(what);
  const auto hits = journal::recovery_hits()[row];
  if (auto opened = open(); !opened) {
    verdict.fail("refuses to start: {}", opened.error().text);
    return;
  }
  if (journal::recovery_hits()[row] == hits) {
    verdict.fail("{} was not met", journal::recovery_table()[row].label);
  }
  check_contents();
  journal_.reset();
}

bool Lab::refuses_or_recovers(journal::RecoveryCase what) {
  const auto row = static_cast<std::size_t>(what);
  const auto hits = journal::recovery_hits()[row];
  const auto opened = open();
  disk.clear_faults();
  if (opened) {
    check_contents();
    journal_.reset();
    return false;
  }
  const bool counted = journal::recovery_hits()[row] > hits;
  if (!counted && !opened.error().text.contains("/journal/")) {
    verdict.fail("names no file: {}", opened.error().text);
  }
  return counted;
}

std::vector<std::uint64_t> Lab::read_sequences() {
  std::vector<std::uint64_t> sequences;
  const std::uint64_t end = journal_->end().next_sequence;
  auto reader = journal_->read(journal_->begin());
  while (reader && (*reader)->position().next_sequence < end) {
    auto batch = (*reader)->next(std::chrono::milliseconds(0), {});
    if (!batch || (*batch)->records.empty()) {
      verdict.fail("cannot read: {}", batch ? "nothing comes" : batch.error().text);
      break;
    }
    for (const journal::Record& record : (*batch)->records) {
      if (ledger.recognise(record, journal_->begin().journal)) sequences.push_back(record.sequence);
    }
  }
  if (!reader) verdict.fail("cannot read: {}", reader.error().text);
  return sequences;
}

void Lab::check_contents() {
  Ledger::Found found;
  found.begin = journal_->begin().next_sequence;
  found.end = journal_->end().next_sequence;
  found.journal = journal_->begin().journal;
  found.sink_cursor = found.begin;
  auto reader = journal_->read(journal_->begin());
  while (reader && (*reader)->position().next_sequence < found.end) {
    auto batch = (*reader)->next(std::chrono::milliseconds(0), {});
    if (!batch || (*batch)->records.empty()) {
      verdict.fail("cannot read: {}", batch ? "nothing comes" : batch.error().text);
      return;
    }
    for (const journal::Record& record : (*batch)->records) {
      const auto known = ledger.recognise(record, found.journal);
      if (!known) return;
      found.records.push_back(*known);
    }
  }
  if (!reader) return verdict.fail("cannot read: {}", reader.error().text);
  ledger.check(found);
}

}  // namespace trialwire::fault
