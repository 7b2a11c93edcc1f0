// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/record_table.hpp"

#include <array>

namespace trialwire::storage {
namespace {

using enum ColumnType;

// In the order in which the sinks bind them.
constexpr std::array<RecordColumn, 12> common{{
    {"record_id", uuid, true, "made of time of receipt, journal, epoch and sequence; unique"},
    {"journal_id", uuid, true, "the journal that acknowledged the record"},
    {"sequence", integer, true, "its place in that journal"},
    {"received_at", time_text, true, "time of receipt, UTC, milliseconds"},
    {"flags", integer, true,
     "bits 0 to 7 as decided at intake; 256: undecodable, `original` has the bytes"},
    {"principal", key_text, false, "who sent it; NULL: anonymous"},
    {"origin", key_text, false, "protocol and address it came from"},
    {"submission_id", uuid, false, "of the all-or-none request it was part of"},
    {"submission_index", integer, false, "its place in that request, from 0"},
    {"submission_count", integer, false, "records of that request"},
    {"original", bytes, false, "the sender's bytes, where they could not be decoded"},
    {"identity", hash, false, "who says the same thing twice; unique"},
}};

constexpr std::array<RecordColumn, 12> report_columns{{
    {"patient_id", key_text, false, "patientId"},
    {"trial_id", key_text, false, "trialId; NULL: unattributed"},
    {"site_id", key_text, false, "siteId"},
    {"report_id", key_text, false, "reportId, the sender's own"},
    {"timestamp", time_text, false, "as sent"},
    {"timestamp_ns", integer, true, "the same instant, ns since the Unix epoch"},
    {"qol_score", integer, false, "qolScore, 0 to 10"},
    {"comments", text, false, "comments"},
    {"instrument", key_text, false, "instrument; legacy: an older client's report"},
    {"instrument_version", key_text, false, "instrumentVersion"},
    {"visit_id", key_text, false, "visitId"},
    {"answers", json, false, "answers, an object"},
}};

constexpr std::array<RecordColumn, 8> answer_columns{{
    {"patient_id", key_text, false, "patient_id"},
    {"trial_id", key_text, false, "trial_id; NULL: unattributed"},
    {"question_id", key_text, false, "question_id"},
    {"answer", integer, false, "answer"},
    {"timestamp", time_text, false, "submit_time, as sent"},
    {"timestamp_ns", integer, true, "the same instant, ns since the Unix epoch"},
    {"instrument", key_text, false, "instrument"},
    {"visit_id", key_text, false, "visit_id"},
}};

constexpr std::array<RecordColumn, 18> vital_columns{{
    {"device_id", key_text, false, "deviceId"},
    {"patient_id", key_text, false, "patientId; NULL: unattributed"},
    {"trial_id", key_text, false, "trialId"},
    {"device_sequence", integer, false, "sequence, the device's own counter"},
    {"timestamp", time_text, false, "RFC 3339; as sent, or UTC where a number was sent"},
    {"timestamp_ns", integer, true, "the same instant, ns since the Unix epoch"},
    {"heart_rate", real, false, "/min"},
    {"blood_oxygen", real, false, "%"},
    {"systolic", real, false, "mmHg"},
    {"diastolic", real, false, "mmHg"},
    {"temperature", real, false, "Cel"},
    {"respiratory_rate", real, false, "/min"},
    {"glucose", real, false, "mmol/L"},
    {"weight", real, false, "kg"},
    {"height", real, false, "cm"},
    {"position", key_text, false, "position of the body, e.g. SUPINE"},
    {"collected", json, false,
     "of each converted value what was sent: {field: {\"value\": number, \"unit\": text}}"},
    {"unusual", key_text, false, "fields outside the usual range, separated by commas"},
}};

constexpr std::array<RecordColumn, 7> metric_columns{{
    {"metric_id", key_text, false, "metricId"},
    {"trial_id", key_text, false, "studyId"},
    {"site_id", key_text, false, "siteId"},
    {"value", real, false, "value"},
    {"timestamp", time_text, false, "RFC 3339; as sent, or UTC where a number or none was sent"},
    {"timestamp_ns", integer, true, "the same instant, ns since the Unix epoch"},
    {"annotations", json, false, "annotations, an array of texts"},
}};

using Names = std::array<std::string_view, 2>;
constexpr std::array<std::string_view, 1> by_timestamp{"timestamp_ns"};
constexpr Names by_patient{"patient_id", "timestamp_ns"};
constexpr Names by_trial{"trial_id", "timestamp_ns"};
constexpr Names by_device{"device_id", "timestamp_ns"};
constexpr Names by_metric{"metric_id", "timestamp_ns"};

constexpr std::array<RecordIndex, 3> report_indexes{{
    {"epro_reports_by_patient", by_patient},
    {"epro_reports_by_trial", by_trial},
    {"epro_reports_by_timestamp", by_timestamp},
}};
constexpr std::array<RecordIndex, 3> answer_indexes{{
    {"qol_answers_by_patient", by_patient},
    {"qol_answers_by_trial", by_trial},
    {"qol_answers_by_timestamp", by_timestamp},
}};
constexpr std::array<RecordIndex, 4> vital_indexes{{
    {"vital_signs_by_device", by_device},
    {"vital_signs_by_patient", by_patient},
    {"vital_signs_by_trial", by_trial},
    {"vital_signs_by_timestamp", by_timestamp},
}};
constexpr std::array<RecordIndex, 3> metric_indexes{{
    {"trial_metrics_by_metric", by_metric},
    {"trial_metrics_by_trial", by_trial},
    {"trial_metrics_by_timestamp", by_timestamp},
}};

constexpr std::array<RecordTable, 4> tables{{
    {"epro_reports", "patients' reports", report_columns, report_indexes},
    {"qol_answers", "answers to single questions of an instrument", answer_columns, answer_indexes},
    {"vital_signs", "measurements of devices, in the contract's units", vital_columns,
     vital_indexes},
    {"trial_metrics", "metrics of a study at a site", metric_columns, metric_indexes},
}};

}  // namespace

std::span<const RecordColumn> common_columns() noexcept {
  return common;
}

std::span<const RecordTable> record_tables() noexcept {
  return tables;
}

const RecordTable* find_record_table(std::string_view name) noexcept {
  for (const RecordTable& table : tables) {
    if (table.name == name) return &table;
  }
  return nullptr;
}

}  // namespace trialwire::storage
