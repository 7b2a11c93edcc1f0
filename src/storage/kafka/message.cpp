// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/message.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.hpp"
#include "base/rfc3339.hpp"
#include "journal/format.hpp"

namespace trialwire::storage::kafka {
namespace {

using journal::ContentType;
using journal::RecordKind;

constexpr std::array<std::pair<RecordKind, std::string_view>, 7> kind_names{{
    {RecordKind::epro_report, "epro_report"},
    {RecordKind::qol_answer, "qol_answer"},
    {RecordKind::vital_sign, "vital_sign"},
    {RecordKind::trial_metric, "trial_metric"},
    {RecordKind::alert, "alert"},
    {RecordKind::audit, "audit"},
    {RecordKind::project_created, "project_created"},
}};

std::string_view media_type(ContentType type) noexcept {
  switch (type) {
    case ContentType::json:
      break;
    case ContentType::json_legacy:
      return "application/vnd.trialwire.legacy+json";
    case ContentType::protobuf:
      return "application/protobuf";
  }
  return "application/json";
}

template <std::size_t Size>
std::string_view number(std::array<char, Size>& to, std::uint64_t value) noexcept {
  auto end = std::to_chars(to.data(), to.data() + Size, value).ptr;
  return {to.data(), static_cast<std::size_t>(end - to.data())};
}

template <std::size_t Size>
std::string_view text(const std::array<char, Size>& array) noexcept {
  return {array.data(), array.size()};
}

}  // namespace

std::string_view name_of(RecordKind kind) noexcept {
  auto found = std::ranges::find(kind_names, kind, &std::pair<RecordKind, std::string_view>::first);
  TW_CHECK(found != kind_names.end());
  return found->second;
}

std::optional<RecordKind> kind_named(std::string_view name) noexcept {
  auto found =
      std::ranges::find(kind_names, name, &std::pair<RecordKind, std::string_view>::second);
  if (found == kind_names.end()) return std::nullopt;
  return found->first;
}

std::size_t Message::bytes() const noexcept {
  std::size_t sum = key.size() + value.size();
  for (const Header& header : headers) sum += header.name.size() + header.value.size();
  return sum;
}

MessageEncoder::MessageEncoder(ValueForm form, std::vector<std::unique_ptr<EventMapper>> mappers,
                               const std::vector<KindTopic>& topics)
    : form_(form) {
  for (auto& mapper : mappers) {
    const RecordKind kind = mapper->kind();
    auto topic = std::ranges::find(topics, kind, &KindTopic::kind);
    if (topic == topics.end()) continue;
    auto at = static_cast<std::size_t>(kind);
    TW_CHECK(at < kinds_.size() && !kinds_[at]);
    // Several kinds may share one.
    auto known = std::ranges::find(topics_, topic->topic);
    auto index = static_cast<std::size_t>(known - topics_.begin());
    if (known == topics_.end()) topics_.push_back(topic->topic);
    kinds_[at] = Kind{std::move(mapper), index};
  }
}

const MessageEncoder::Kind* MessageEncoder::find(const journal::Record& record) const noexcept {
  auto at = static_cast<std::size_t>(record.attributes.kind);
  return at < kinds_.size() && kinds_[at] ? &*kinds_[at] : nullptr;
}

const Message& MessageEncoder::encode(const journal::Record& record) {
  const Kind* kind = find(record);
  TW_CHECK(kind != nullptr);
  EventMapper& mapper = *kind->mapper;
  mapper.read(record);
  message_.topic = kind->topic;
  message_.key = mapper.key();
  if (form_ == ValueForm::json) {
    value_.clear();
    mapper.append_json(value_);
    message_.value = value_;
  } else {
    message_.value = as_text(record.bytes);
  }
  fill_headers(record);
  return message_;
}

void MessageEncoder::fill_headers(const journal::Record& record) {
  const journal::RecordAttributes& attributes = record.attributes;
  message_.headers = {};
  record_id({record.journal, record.epoch, record.sequence, attributes.received_ns})
      .write(record_id_.data());
  record.journal.write(journal_id_.data());
  write_rfc3339_ms(attributes.received_ns, received_at_.data());
  add_header("record_id", text(record_id_));
  add_header("journal_id", text(journal_id_));
  add_header("sequence", number(sequence_, record.sequence));
  add_header("kind", name_of(attributes.kind));
  add_header("content_type", form_ == ValueForm::json ? media_type(ContentType::json)
                                                      : media_type(attributes.content_type));
  add_header("received_at", text(received_at_));
  if (!attributes.traceparent.empty()) add_header("traceparent", attributes.traceparent);
  if (form_ == ValueForm::json) return;
  add_header("epoch", number(epoch_, record.epoch));
  journal::Record without_bytes = record;
  without_bytes.bytes = {};
  attributes_.resize(journal::encoded_size(without_bytes));
  journal::encode_record(without_bytes, attributes_.data());
  add_header("attributes", as_text(attributes_));
}

}  // namespace trialwire::storage::kafka
