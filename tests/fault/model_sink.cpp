// SPDX-License-Identifier: Apache-2.0
#include "fault/model_sink.hpp"

#include <cstring>

#include "base/hash.hpp"

namespace trialwire::fault {

namespace {

const std::filesystem::path directory = "/sink";
const std::filesystem::path file_path = "/sink/rows";

struct BlockHead {
  std::uint32_t magic = 0x524f5753;
  std::uint32_t crc = 0;  // of the rest and the rows
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

std::uint32_t crc_of(const BlockHead& head, std::span<const Row> rows) {
  const std::uint64_t words[] = {head.first, head.count};
  return crc32c(std::as_bytes(rows), crc32c(std::as_bytes(std::span(words))));
}

}  // namespace

ModelSink::ModelSink(support::FaultyFiles& disk, Ledger& ledger, Verdict& verdict)
    : disk_(disk), ledger_(ledger), verdict_(verdict) {
  disk_.put(file_path, {});
}

Result<void> ModelSink::load(const Uuid& journal) {
  std::scoped_lock lock(mutex_);
  file_.reset();
  auto file = disk_.open(file_path, journal::OpenMode::write_existing, false);
  if (!file) return std::unexpected(file.error());
  // What a killed process wrote but did not sync is read, too, and must not be gone later.
  if (auto synced = (*file)->sync(); !synced) return synced;
  const auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  support::FileBytes bytes(*size);
  if (auto got = (*file)->read_at(0, bytes); !got) return got;
  const std::uint64_t before = cursor_;
  rows_.clear();
  keys_.clear();
  cursor_ = 1;
  end_ = 0;
  journal_ = journal;
  while (end_ + sizeof(BlockHead) <= bytes.size()) {
    BlockHead head;
    std::memcpy(&head, bytes.data() + end_, sizeof head);
    const std::uint64_t left = bytes.size() - end_ - sizeof head;
    if (head.magic != BlockHead{}.magic || head.first != cursor_) break;
    if (head.count > left / sizeof(Row)) break;
    std::vector<Row> rows(head.count);
    std::memcpy(rows.data(), bytes.data() + end_ + sizeof head, head.count * sizeof(Row));
    if (crc_of(head, rows) != head.crc) break;
    for (const Row& row : rows) {
      rows_.push_back(row);
      keys_.insert(ledger_.key_of(row.attempt));
    }
    cursor_ += head.count;
    end_ += sizeof head + head.count * sizeof(Row);
  }
  if (cursor_ < before) verdict_.fail("the model of the sink lost rows: a defect of the test");
  file_ = std::move(*file);
  return {};
}

Result<void> ModelSink::deliver(std::span<const journal::Record> records,
                                const journal::Cursor& cursor) {
  std::scoped_lock lock(mutex_);
  if (paused_ || !file_) return fail(ErrorCode::unavailable, "the sink is gone");
  BlockHead head{.first = cursor_, .count = records.size()};
  std::vector<Row> rows;
  for (const journal::Record& record : records) {
    const auto known = ledger_.recognise(record, journal_);
    if (!known) return fail(ErrorCode::corrupt, "not a record that was sent");
    if (record.sequence != cursor_ + rows.size()) {
      verdict_.fail("the sink was given sequence {} where {} follows", record.sequence,
                    cursor_ + rows.size());
    }
    rows.push_back({record.sequence, known->attempt});
  }
  if (cursor.next_sequence != cursor_ + rows.size()) {
    verdict_.fail("the sink was given {} rows from {} with cursor {}", rows.size(), cursor_,
                  cursor.next_sequence);
  }
  head.crc = crc_of(head, rows);
  support::FileBytes block(sizeof head + rows.size() * sizeof(Row));
  std::memcpy(block.data(), &head, sizeof head);
  std::memcpy(block.data() + sizeof head, rows.data(), rows.size() * sizeof(Row));
  if (auto written = file_->write_and_sync(end_, block); !written) return written;
  end_ += block.size();
  cursor_ += rows.size();
  for (const Row& row : rows) {
    rows_.push_back(row);
    keys_.insert(ledger_.key_of(row.attempt));
  }
  return {};
}

void ModelSink::pause(bool paused) {
  std::scoped_lock lock(mutex_);
  paused_ = paused;
}

std::uint64_t ModelSink::cursor() const {
  std::scoped_lock lock(mutex_);
  return cursor_;
}

std::vector<Row> ModelSink::rows() const {
  std::scoped_lock lock(mutex_);
  return rows_;
}

bool ModelSink::has(std::uint64_t key) const {
  std::scoped_lock lock(mutex_);
  return keys_.contains(key);
}

}  // namespace trialwire::fault
