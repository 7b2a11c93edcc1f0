// SPDX-License-Identifier: Apache-2.0
// A record as a Kafka message: topic of its kind, key of its patient, device or study, value as
// JSON or as the sender sent it, and headers:
//
//   record_id, journal_id, sequence, kind, received_at   text, as in lists
//   content_type      of the value: application/json; of original bytes also
//                     application/vnd.trialwire.legacy+json, application/protobuf
//   traceparent       where one came with the record
//   epoch             with original bytes: text; with the next one all that a processor needs
//   attributes        with original bytes: the record as docs/journal-format.md has it, without
//                     its bytes
//
// Pure but for its memory; one a sink lane. Once warm it allocates nothing.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "journal/record.hpp"
#include "storage/event_mapper.hpp"

namespace trialwire::storage::kafka {

enum class ValueForm : std::uint8_t { json, original };

/// "epro_report": of topics and of the header.
std::string_view name_of(journal::RecordKind kind) noexcept;
std::optional<journal::RecordKind> kind_named(std::string_view name) noexcept;

struct Header {
  std::string_view name;
  std::string_view value;
};

struct Message {
  std::size_t topic = 0;  // in MessageEncoder::topics()
  std::string_view key;   // empty: none
  std::string_view value;
  std::span<const Header> headers;

  /// Without what the protocol adds.
  std::size_t bytes() const noexcept;
};

/// The topic of a kind; nothing: its records are not sent.
struct KindTopic {
  journal::RecordKind kind = journal::RecordKind::epro_report;
  std::string topic;
};

class MessageEncoder {
 public:
  /// Kinds with a mapper and a topic are sent.
  MessageEncoder(ValueForm form, std::vector<std::unique_ptr<EventMapper>> mappers,
                 const std::vector<KindTopic>& topics);

  const std::vector<std::string>& topics() const noexcept { return topics_; }
  bool takes(const journal::Record& record) const noexcept { return find(record) != nullptr; }

  /// Of a record that it takes; valid until the next call, and as long as the record is.
  const Message& encode(const journal::Record& record);

 private:
  struct Kind {
    std::unique_ptr<EventMapper> mapper;
    std::size_t topic = 0;
  };
  const Kind* find(const journal::Record& record) const noexcept;
  void fill_headers(const journal::Record& record);
  void add_header(std::string_view name, std::string_view value) {
    headers_[message_.headers.size()] = {name, value};
    message_.headers = {headers_.data(), message_.headers.size() + 1};
  }

  const ValueForm form_;
  std::vector<std::string> topics_;
  std::array<std::optional<Kind>, 32> kinds_;
  Message message_;
  std::string value_;
  std::array<Header, 9> headers_;
  std::array<char, Uuid::text_size> record_id_{};
  std::array<char, Uuid::text_size> journal_id_{};
  std::array<char, 24> received_at_{};
  std::array<char, 20> sequence_{};
  std::array<char, 10> epoch_{};
  std::vector<std::byte> attributes_;
};

}  // namespace trialwire::storage::kafka
