// SPDX-License-Identifier: Apache-2.0
#include "ingest/answer.hpp"

#include <charconv>
#include <cstring>

#include "base/check.hpp"
#include "ingest/json_text.hpp"
#include "telemetry/trace/tracer.hpp"

namespace trialwire::ingest {
namespace {

constexpr std::string_view json_type = "application/json";
constexpr std::string_view conflict_message = "was received before with other content";

template <std::size_t size>
char* put(char* to, const char (&text)[size]) noexcept {
  std::memcpy(to, text, size - 1);
  return to + size - 1;
}

/// What a client reads when the journal did not take its records.
std::string_view refusal_text(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::disk_full:
      return "no space to store what was sent; retry later";
    case ErrorCode::overloaded:
      return "too much waits to be stored; retry later";
    case ErrorCode::deadline_exceeded:
      return "the report is stored, but was not replicated in time; retry later";
    default:
      return "what was sent could not be stored; retry later";
  }
}

}  // namespace

void IntakeAnswer::committed(const journal::Receipt& receipt) noexcept {
  if (content_.trace != nullptr) [[unlikely]] {
    content_.trace->child(
        "journal", {content_.appended_unix_ns, telemetry::span_clock_ns()},
        {{"trialwire.stored", receipt.stored},
         {"trialwire.duplicates", receipt.duplicates},
         {"trialwire.sequence", static_cast<std::int64_t>(receipt.first_sequence)}});
  }
  told_ = true;
  state_ = receipt.state;
  error_ = receipt.error;
  synced_ = receipt.synced;
  first_sequence_ = receipt.first_sequence;
  first_record_id_ = receipt.first_record_id;
  conflicts_.assign(receipt.conflicts.begin(), receipt.conflicts.end());
  if (!receipt.sequences.empty()) [[unlikely]] {
    sequences_ = std::make_unique<const std::vector<std::uint64_t>>(receipt.sequences.begin(),
                                                                    receipt.sequences.end());
  }
  if (state_ == journal::Receipt::State::refused) {
    context_.metrics.refused(error_, content_.records);
  } else {
    auto conflicts = state_ == journal::Receipt::State::conflict && conflicts_.empty()
                         ? content_.records
                         : static_cast<std::uint32_t>(conflicts_.size());
    context_.metrics.stored(receipt.stored, receipt.duplicates, conflicts);
  }
  complete();
}

bool IntakeAnswer::abandon() noexcept {
  return !told_ && context_.appender.withdraw(ticket_);
}

void IntakeAnswer::render(net::ResponseWriter& writer) {
  context_.text.clear();
  if (state_ == journal::Receipt::State::refused) {
    writer.problem(error_, refusal_text(error_));
  } else if (content_.form == BodyForm::ndjson) {
    render_lines(writer);
  } else if (state_ == journal::Receipt::State::conflict) {
    render_conflicts(writer);
  } else {
    render_stored(writer);
  }
}

void IntakeAnswer::render_stored(net::ResponseWriter& writer) {
  std::string& text = context_.text;
  text += '{';
  if (content_.form == BodyForm::array) {
    text += context_.form.array_head;
    append_number(text, content_.records);
    text += ',';
  } else {
    text += context_.form.object_head;
    if (!context_.form.object_tail.empty()) {
      text += content_.subject_json;
      text += context_.form.object_tail;
    }
  }
  render_receipt(content_.records);
  text += '}';
  writer.start(200);
  writer.body(json_type, text);
}

void IntakeAnswer::render_receipt(std::uint32_t count) {
  constexpr std::size_t receipt_bytes_max = 128;
  std::string& text = context_.text;
  std::size_t before = text.size();
  text.resize_and_overwrite(before + receipt_bytes_max, [&](char* begin, std::size_t room) {
    char* end = begin + room;
    char* to = begin + before;
    if (content_.form == BodyForm::object) {
      to = put(to, R"("receipt":{"recordId":")");
      first_record_id_.write(to);
      to = put(to + Uuid::text_size, R"(","sequence":)");
      to = std::to_chars(to, end, first_sequence_).ptr;
    } else {
      to = put(to, R"("receipt":{"firstSequence":)");
      to = std::to_chars(to, end, first_sequence_).ptr;
      to = put(to, R"(,"count":)");
      to = std::to_chars(to, end, count).ptr;
    }
    to = synced_ ? put(to, "}") : put(to, R"(,"durable":false})");
    return static_cast<std::size_t>(to - begin);
  });
  if (sequences_) [[unlikely]]
    render_sequences();
}

/// The first one and their number are not all there is to say: some were stored before.
void IntakeAnswer::render_sequences() {
  std::string& text = context_.text;
  text.back() = ',';
  text += R"("sequences":[)";
  for (std::uint64_t sequence : *sequences_) {
    append_number(text, sequence);
    text += ',';
  }
  text.back() = ']';
  text += '}';
}

RecordPlace IntakeAnswer::place(std::uint32_t record) const noexcept {
  if (content_.places.empty()) {
    return {content_.first_place.number + record, content_.first_place.by_request_key};
  }
  TW_CHECK(record < content_.records);
  return load_le<RecordPlace>(content_.places.data() + record * sizeof(RecordPlace));
}

std::string_view IntakeAnswer::identity_field(const RecordPlace& place) const noexcept {
  return place.by_request_key ? "Idempotency-Key" : context_.sender_id_field;
}

void IntakeAnswer::render_conflicts(net::ResponseWriter& writer) {
  FieldErrors errors(content_.errors_max);
  for (std::uint32_t record : conflicts_) {
    RecordPlace where = place(record);
    if (content_.form == BodyForm::array) errors.set_element(where.number);
    errors.add(identity_field(where), Rule::conflict, "{}", conflict_message);
  }
  if (errors.empty()) errors.add({}, Rule::conflict, "{}", conflict_message);
  std::string summary;
  errors.append_summary(summary);
  errors.append_json(context_.text);
  writer.problem(ErrorCode::conflict, summary, context_.text);
}

void IntakeAnswer::render_lines(net::ResponseWriter& writer) {
  if (conflicts_.empty()) {
    render_accepted_lines(writer, content_.rejected);
    return;
  }
  RejectedLines merged = merge_conflicts();
  if (conflicts_.size() < content_.records) {
    render_accepted_lines(writer, merged.view());
  } else {
    answer_nothing_accepted(writer, ErrorCode::invalid_argument, merged.view(), content_.errors_max,
                            context_.text);
  }
}

void IntakeAnswer::render_accepted_lines(net::ResponseWriter& writer,
                                         const RejectedView& rejected) {
  std::string& text = context_.text;
  auto accepted = content_.records - static_cast<std::uint32_t>(conflicts_.size());
  text += R"({"accepted":)";
  append_number(text, accepted);
  text += R"(,"rejected":[)";
  append_rejected(text, rejected);
  text += "],";
  render_receipt(accepted);
  text += '}';
  writer.start(200);
  writer.body(json_type, text);
}

/// The lines that were refused when they were read and those that conflict, in order of line.
RejectedLines IntakeAnswer::merge_conflicts() const {
  RejectedLines merged;
  const RejectedView& rejected = content_.rejected;
  std::size_t next = 0;
  auto add_up_to = [&](std::uint32_t line) {
    for (; next < rejected.size() && rejected[next].line < line; ++next) {
      const LineError error = rejected[next];
      merged.add(error, rejected.message(error));
    }
  };
  for (std::uint32_t record : conflicts_) {
    RecordPlace where = place(record);
    add_up_to(where.number);
    merged.add(
        {.line = where.number, .total = 1, .rule = Rule::conflict, .field = identity_field(where)},
        conflict_message);
  }
  add_up_to(~std::uint32_t{0});
  return merged;
}

void answer_nothing_accepted(net::ResponseWriter& writer, ErrorCode code,
                             const RejectedView& rejected, std::uint32_t errors_max,
                             std::string& text) {
  text.clear();
  text += R"("errors":[)";
  append_line_errors(text, rejected, errors_max);
  text += R"(],"accepted":0,"rejected":[)";
  append_rejected(text, rejected);
  text += ']';
  std::string summary;
  append_summary(summary, rejected);
  writer.problem(code, summary, text);
}

}  // namespace trialwire::ingest
