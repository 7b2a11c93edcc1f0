// SPDX-License-Identifier: Apache-2.0
#include "storage/event_mapper.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <variant>

#include "base/check.hpp"
#include "base/rfc3339.hpp"
#include "storage/item_json.hpp"
#include "storage/json_text.hpp"

namespace trialwire::storage {

EventMapper::EventMapper(std::unique_ptr<RowMapper> rows) : rows_(std::move(rows)) {
  const RowTable& shape = rows_->table();
  const RecordTable* table = find_record_table(shape.name);
  TW_CHECK(table != nullptr);
  for (std::string_view name : shape.columns) {
    auto column = std::ranges::find(table->columns, name, &RecordColumn::name);
    TW_CHECK(column != table->columns.end());
    columns_.push_back(&*column);
  }
  auto key = std::ranges::find(shape.columns, shape.key);
  TW_CHECK(key != shape.columns.end());
  key_column_ = static_cast<std::size_t>(key - shape.columns.begin());
  row_.resize(columns_.size());
}

bool EventMapper::read(const journal::Record& record) {
  std::ranges::fill(row_, Value{});
  record_ = &record;
  decoded_ = rows_->map(record, row_);
  return decoded_;
}

std::string_view EventMapper::key() const noexcept {
  const auto* text = std::get_if<std::string_view>(&row_[key_column_]);
  return decoded_ && text != nullptr ? *text : std::string_view();
}

void EventMapper::append_json(std::string& to) const {
  TW_CHECK(record_ != nullptr);
  const journal::RecordAttributes& attributes = record_->attributes;
  std::array<char, Uuid::text_size> id{}, journal{};
  std::array<char, 24> received{};
  record_id({record_->journal, record_->epoch, record_->sequence, attributes.received_ns})
      .write(id.data());
  record_->journal.write(journal.data());
  write_rfc3339_ms(attributes.received_ns, received.data());
  auto text = [](const auto& array) { return std::string_view(array.data(), array.size()); };
  to.append(R"({"recordId":")").append(text(id)).append(R"(","sequence":)");
  append_number(to, record_->sequence);
  to.append(R"(,"journalId":")").append(text(journal));
  to.append(R"(","receivedAt":")").append(text(received)).append("\"");
  if (decoded_) {
    for (std::size_t i = 0; i < columns_.size(); ++i) append_member(to, *columns_[i], row_[i]);
  }
  append_flags(to, attributes.flags | (decoded_ ? 0 : flag_undecodable), rows_->table().flags);
  to += '}';
}

}  // namespace trialwire::storage
