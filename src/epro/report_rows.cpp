// SPDX-License-Identifier: Apache-2.0
#include "epro/report_rows.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/rfc3339.hpp"
#include "epro/report.hpp"

namespace trialwire::epro {
namespace {

using storage::Value;

enum Column : std::size_t {
  patient_id,
  trial_id,
  site_id,
  report_id,
  timestamp,
  timestamp_ns,
  qol_score,
  comments,
  instrument,
  instrument_version,
  visit_id,
  answers,
  column_count,
};

constexpr std::array<std::string_view, column_count> columns{
    "patient_id", "trial_id", "site_id",    "report_id",          "timestamp", "timestamp_ns",
    "qol_score",  "comments", "instrument", "instrument_version", "visit_id",  "answers"};
constexpr std::array<std::string_view, 3> flag_names{"timestamp_in_future", "timestamp_in_past",
                                                     "unattributed"};
static_assert(timestamp_in_future == 1 && timestamp_in_past == 2 && unattributed == 4);
constexpr storage::RowTable reports{"epro_reports", "epro_report_identities", columns, "patient_id",
                                    flag_names};

Value text_or_null(const std::optional<std::string_view>& text) {
  return text ? Value(*text) : Value();
}

Value present_or_null(std::string_view text) {
  return text.empty() ? Value() : Value(text);
}

class ReportRows final : public storage::RowMapper {
 public:
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::epro_report; }
  const storage::RowTable& table() const noexcept override { return reports; }

  bool map(const journal::Record& record, std::span<Value> row) override {
    Result<PatientReport> decoded = decode_stored(record, scratch_);
    if (!decoded) {
      row[timestamp_ns] = record.attributes.received_ns;  // so that it has a place in the list
      return false;
    }
    const PatientReport& report = *decoded;
    row[patient_id] = report.patient_id;
    row[trial_id] = present_or_null(report.trial_id);
    row[site_id] = text_or_null(report.site_id);
    row[report_id] = text_or_null(report.report_id);
    row[timestamp] = bounded_rfc3339(report.timestamp_text, timestamp_);
    if (report.timestamp_text.empty()) {
      // An older client's report has no time of its own: that of its receipt stands for it.
      write_rfc3339_ms(report.timestamp.unix_ns, received_at_.data());
      row[timestamp] = std::string_view(received_at_.data(), received_at_.size());
    }
    row[timestamp_ns] = report.timestamp.unix_ns;
    if (report.qol_score) row[qol_score] = std::int64_t{*report.qol_score};
    row[comments] = text_or_null(report.comments);
    row[instrument] = text_or_null(report.instrument);
    row[instrument_version] = text_or_null(report.instrument_version);
    row[visit_id] = text_or_null(report.visit_id);
    row[answers] = present_or_null(report.answers);
    return true;
  }

 private:
  ingest::Scratch scratch_;
  std::array<char, 24> received_at_{};
  std::array<char, rfc3339_text_max> timestamp_{};
};

}  // namespace

std::unique_ptr<storage::RowMapper> make_report_rows() {
  return std::make_unique<ReportRows>();
}

std::span<const std::string_view> report_flag_names() noexcept {
  return flag_names;
}

}  // namespace trialwire::epro
