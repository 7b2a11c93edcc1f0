// SPDX-License-Identifier: Apache-2.0
#include "qol/qol_rows.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ingest/stored_reader.hpp"
#include "ingest/time_text.hpp"
#include "qol/qol_answer_decoder.hpp"

namespace trialwire::qol {
namespace {

using storage::Value;

enum Column : std::size_t {
  patient_id,
  trial_id,
  question_id,
  answer,
  timestamp,
  timestamp_ns,
  instrument,
  visit_id,
  column_count,
};

constexpr std::array<std::string_view, column_count> columns{
    "patient_id", "trial_id",     "question_id", "answer",
    "timestamp",  "timestamp_ns", "instrument",  "visit_id"};
constexpr std::array<std::string_view, 3> names_of_flags{"timestamp_in_future", "timestamp_in_past",
                                                         "unattributed"};
static_assert(timestamp_in_future == 1 && timestamp_in_past == 2 && unattributed == 4);
constexpr storage::RowTable qol_answers{"qol_answers", "qol_answer_identities", columns,
                                        "patient_id", names_of_flags};

class QolRows final : public storage::RowMapper {
 public:
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::qol_answer; }
  const storage::RowTable& table() const noexcept override { return qol_answers; }

  bool map(const journal::Record& record, std::span<Value> row) override {
    QolAnswer sent;
    auto read = reader_.read(record, "answer",
                             [&](ingest::JsonReader& reader, ingest::DecodeContext& context) {
                               return read_answer(reader, context, no_limits(), sent);
                             });
    if (!read) {
      row[timestamp_ns] = record.attributes.received_ns;  // so that it has a place in the list
      return false;
    }
    row[patient_id] = sent.patient_id;
    if (!sent.trial_id.empty()) row[trial_id] = sent.trial_id;
    row[question_id] = sent.question_id;
    row[answer] = sent.answer;
    row[timestamp] = time_text_(sent.submit_time);
    row[timestamp_ns] = sent.submit_time.instant.unix_ns;
    if (sent.instrument) row[instrument] = *sent.instrument;
    if (sent.visit_id) row[visit_id] = *sent.visit_id;
    return true;
  }

 private:
  ingest::StoredReader reader_;
  ingest::TimeText time_text_;
};

}  // namespace

std::span<const std::string_view> flag_names() noexcept {
  return names_of_flags;
}

std::unique_ptr<storage::RowMapper> make_rows() {
  return std::make_unique<QolRows>();
}

}  // namespace trialwire::qol
