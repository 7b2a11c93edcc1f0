// SPDX-License-Identifier: Apache-2.0
// The answer to a request whose records were handed to the journal. Lives in the memory of the read
// that brought the request; told of the commit and rendered on that shard's thread. What it refers
// to outlives it: its Intake's context, and what `Exchange::keep` copied.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/kind.hpp"
#include "ingest/metrics.hpp"
#include "ingest/rejected_lines.hpp"
#include "journal/appender.hpp"
#include "net/exchange.hpp"
#include "net/response.hpp"

namespace trialwire::ingest {

enum class BodyForm : std::uint8_t { object, array, ndjson };

/// Where a record stood in its request, and what identifies it, should it be a conflict.
struct RecordPlace {
  std::uint32_t number = 0;  // index in an array, line of NDJSON
  bool by_request_key = false;
};

/// The same for all answers of an Intake, and owned by it.
struct AnswerContext {
  journal::Appender& appender;
  IntakeMetrics& metrics;
  std::string& text;  // the shard's, used during `render` only
  const AnswerForm& form;
  std::string_view sender_id_field;
};

/// Copied with Exchange::keep, but for the numbers.
struct AnswerContent {
  BodyForm form = BodyForm::object;
  std::uint32_t records = 0;
  std::uint32_t errors_max = 0;
  std::string_view subject_json;
  RecordPlace first_place;
  std::string_view places;  // the bytes of a RecordPlace for each record; empty: they are numbered
                            // on from the first one, with the same kind of identity
  RejectedView rejected;    // NDJSON
  const telemetry::RequestTrace* trace = nullptr;  // null: it is not traced
  std::int64_t appended_unix_ns = 0;               // of one that is traced
};

class IntakeAnswer final : public net::DeferredAnswer, public journal::Waiter {
 public:
  IntakeAnswer(const AnswerContext& context, const AnswerContent& content)
      : context_(context), content_(content) {}

  void set_ticket(std::uint64_t ticket) noexcept { ticket_ = ticket; }

  void committed(const journal::Receipt& receipt) noexcept override;
  void render(net::ResponseWriter& writer) override;
  /// Takes the records back if they are not yet joined into a batch.
  bool abandon() noexcept override;

 private:
  void render_receipt(std::uint32_t count);
  void render_sequences();
  void render_stored(net::ResponseWriter& writer);
  void render_conflicts(net::ResponseWriter& writer);
  void render_lines(net::ResponseWriter& writer);
  void render_accepted_lines(net::ResponseWriter& writer, const RejectedView& rejected);
  RejectedLines merge_conflicts() const;
  RecordPlace place(std::uint32_t record) const noexcept;
  std::string_view identity_field(const RecordPlace& place) const noexcept;

  const AnswerContext& context_;
  AnswerContent content_;
  std::uint64_t ticket_ = 0;
  bool told_ = false;
  // Of the receipt, which is gone when the answer is rendered.
  journal::Receipt::State state_ = journal::Receipt::State::refused;
  ErrorCode error_ = ErrorCode::unavailable;
  bool synced_ = true;
  std::uint64_t first_sequence_ = 0;
  Uuid first_record_id_;
  std::vector<std::uint32_t> conflicts_;  // empty but for the rare conflict: no allocation
  std::unique_ptr<const std::vector<std::uint64_t>> sequences_;  // null but for a partial retry
};

/// What an NDJSON body of which no line was accepted is answered: 400, or 403 where a line was not
/// the sender's to write.
void answer_nothing_accepted(net::ResponseWriter& writer, ErrorCode code,
                             const RejectedView& rejected, std::uint32_t errors_max,
                             std::string& text);

}  // namespace trialwire::ingest
