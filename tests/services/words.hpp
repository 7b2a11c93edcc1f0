// SPDX-License-Identifier: Apache-2.0
// What the tests of SQL servers share: a record format of few words, and deliveries of it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rfc3339.hpp"
#include "pipeline/sink.hpp"
#include "storage/row_mapper.hpp"
#include "storage/sql/record_table.hpp"

namespace trialwire::test {

/// A body is "key trial seconds [text]": "P-1 T-1 1700000000 a comment". Of each table the first
/// column has the key; the text goes to `text_column`.
class WordsMapper final : public storage::RowMapper {
 public:
  WordsMapper(journal::RecordKind kind, std::string_view table, std::string_view text_column)
      : kind_(kind), text_column_(text_column) {
    const storage::RecordTable* found = storage::find_record_table(table);
    for (const storage::RecordColumn& column : found->columns) columns_.push_back(column.name);
    table_.name = found->name;
    table_.columns = columns_;
  }
  journal::RecordKind kind() const noexcept override { return kind_; }
  const storage::RowTable& table() const noexcept override { return table_; }
  bool map(const journal::Record& record, std::span<storage::Value> row) override {
    std::string_view text = as_text(record.bytes);
    auto word = [&text] {
      std::string_view found = text.substr(0, text.find(' '));
      text.remove_prefix(std::min(text.size(), found.size() + 1));
      return found;
    };
    row[at("timestamp_ns")] = record.attributes.received_ns;
    std::string_view key = word();
    std::string_view trial = word();
    std::string seconds(word());
    if (seconds.empty()) return false;
    row[0] = key;
    row[at("trial_id")] = trial;
    std::int64_t ns = std::atoll(seconds.c_str()) * 1'000'000'000;
    timestamp_ = format_rfc3339_ms(ns);
    row[at("timestamp")] = std::string_view(timestamp_);
    row[at("timestamp_ns")] = ns;
    if (!text.empty()) row[at(text_column_)] = text;
    return true;
  }

 private:
  std::size_t at(std::string_view name) const {
    return static_cast<std::size_t>(std::ranges::find(columns_, name) - columns_.begin());
  }
  journal::RecordKind kind_;
  std::string_view text_column_;
  std::vector<std::string_view> columns_;
  storage::RowTable table_;
  std::string timestamp_;
};

/// Records as a lane would deliver them, sequences from 1.
class Deliveries {
 public:
  explicit Deliveries(Uuid journal) : journal_(journal) {}

  journal::Record& add(std::string body, std::uint64_t identity = 0) {
    journal::Record& record = records_.emplace_back();
    record.journal = journal_;
    record.sequence = next_++;
    record.epoch = 1;
    record.attributes.received_ns =
        1'770'000'000'000'000'000 + static_cast<std::int64_t>(record.sequence) * 1'000'000;
    record.attributes.origin = "http 127.0.0.1:5123";
    if (identity != 0) record.attributes.identity = {identity, ~identity};
    record.bytes = as_bytes(bodies_.emplace_back(std::move(body)));
    return record;
  }
  void clear() { records_.clear(); }
  journal::Cursor cursor() const { return {journal_, next_}; }
  Result<void> to(pipeline::Sink& sink) { return sink.deliver(records_, cursor()); }
  std::span<const journal::Record> records() const { return records_; }

 private:
  Uuid journal_;
  std::uint64_t next_ = 1;
  std::deque<std::string> bodies_;
  std::vector<journal::Record> records_;
};

}  // namespace trialwire::test
