// SPDX-License-Identifier: Apache-2.0
// For the tests of this folder: records of few words, "PATIENT ANSWER".
#pragma once
#include <array>
#include <charconv>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hash.hpp"
#include "journal/reader.hpp"
#include "storage/event_mapper.hpp"
#include "storage/row_mapper.hpp"

namespace trialwire::storage::kafka::test {

class WordRows final : public RowMapper {
 public:
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::qol_answer; }
  const RowTable& table() const noexcept override {
    static constexpr std::array<std::string_view, 3> columns{"patient_id", "answer",
                                                             "timestamp_ns"};
    static constexpr RowTable answers{
        "qol_answers", "qol_answer_identities", columns, "patient_id", {}};
    return answers;
  }
  bool map(const journal::Record& record, std::span<Value> row) override {
    std::string_view text = as_text(record.bytes);
    std::size_t space = text.find(' ');
    row[2] = record.attributes.received_ns;
    if (space == std::string_view::npos) return false;
    row[0] = text.substr(0, space);
    std::int64_t answer = 0;
    std::from_chars(text.data() + space + 1, text.data() + text.size(), answer);
    row[1] = answer;
    return true;
  }
};

inline std::vector<std::unique_ptr<EventMapper>> word_mappers() {
  std::vector<std::unique_ptr<EventMapper>> mappers;
  mappers.push_back(std::make_unique<EventMapper>(std::make_unique<WordRows>()));
  return mappers;
}

/// Records as a lane would deliver them, sequences from 1.
class Records {
 public:
  explicit Records(Uuid journal) : journal_(journal) {}

  journal::Record& add(std::string body) {
    journal::Record& record = records_.emplace_back();
    record.journal = journal_;
    record.sequence = next_++;
    record.epoch = 3;
    record.attributes.kind = journal::RecordKind::qol_answer;
    record.attributes.received_ns = 1'772'349'330'250'000'000;
    std::string_view text = texts_.emplace_back(std::move(body));
    record.attributes.key_hash = key_hash(text.substr(0, text.find(' ')));
    record.bytes = as_bytes(text);
    return record;
  }
  void clear() { records_.clear(); }
  const std::vector<journal::Record>& all() const noexcept { return records_; }
  journal::Cursor end() const noexcept { return {journal_, next_}; }

 private:
  Uuid journal_;
  std::uint64_t next_ = 1;
  std::deque<std::string> texts_;
  std::vector<journal::Record> records_;
};

}  // namespace trialwire::storage::kafka::test
