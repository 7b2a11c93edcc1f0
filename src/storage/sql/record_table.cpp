// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/record_table.hpp"

#include <array>

namespace trialwire::storage {
namespace {

using enum ColumnType;

// In the order in which the sinks bind them.
constexpr std::array<RecordColumn, 12> common{{
    {"record_id", uuid, true, "recordId",
     "made of time of receipt, journal, epoch and sequence; unique"},
    {"journal_id", uuid, true, "journalId", "the journal that acknowledged the record"},
    {"sequence", integer, true, "sequence", "its place in that journal"},
    {"received_at", time_text, true, "receivedAt", "time of receipt, UTC, milliseconds"},
    {"flags", integer, true, "",
     "bits 0 to 7 as decided at intake; 256: undecodable, `original` has the bytes"},
    {"principal", key_text, false, "", "who sent it; NULL: anonymous"},
    {"origin", key_text, false, "", "protocol and address it came from"},
    {"submission_id", uuid, false, "", "of the all-or-none request it was part of"},
    {"submission_index", integer, false, "", "its place in that request, from 0"},
    {"submission_count", integer, false, "", "records of that request"},
    {"original", bytes, false, "", "the sender's bytes, where they could not be decoded"},
    {"identity", hash, false, "", "who says the same thing twice; unique"},
}};

constexpr std::array<RecordColumn, 12> report_columns{{
    {"patient_id", key_text, false, "patientId", "the patient"},
    {"trial_id", key_text, false, "trialId", "the study; NULL: unattributed"},
    {"site_id", key_text, false, "siteId", "the study's site"},
    {"report_id", key_text, false, "reportId", "the sender's own id"},
    {"timestamp", time_text, false, "timestamp", "RFC 3339, as sent"},
    {"timestamp_ns", integer, true, "", "the same instant, ns since the Unix epoch"},
    {"qol_score", integer, false, "qolScore", "0 to 10"},
    {"comments", text, false, "comments", "free text"},
    {"instrument", key_text, false, "instrument", "legacy: an older client's report"},
    {"instrument_version", key_text, false, "instrumentVersion", "of the instrument"},
    {"visit_id", key_text, false, "visitId", "the visit"},
    {"answers", json, false, "answers", "an object: item to integer or text"},
}};

constexpr std::array<RecordColumn, 8> answer_columns{{
    {"patient_id", key_text, false, "patient_id", "the patient"},
    {"trial_id", key_text, false, "trial_id", "the study; NULL: unattributed"},
    {"question_id", key_text, false, "question_id", "the question"},
    {"answer", integer, false, "answer", "the answer"},
    {"timestamp", time_text, false, "submit_time", "RFC 3339, as sent"},
    {"timestamp_ns", integer, true, "", "the same instant, ns since the Unix epoch"},
    {"instrument", key_text, false, "instrument", "the questionnaire"},
    {"visit_id", key_text, false, "visit_id", "the visit"},
}};

constexpr std::array<RecordColumn, 18> vital_columns{{
    {"device_id", key_text, false, "deviceId", "the device"},
    {"patient_id", key_text, false, "patientId", "the subject; NULL: unattributed"},
    {"trial_id", key_text, false, "trialId", "the study"},
    {"device_sequence", integer, false, "deviceSequence", "sequence, the device's own counter"},
    {"timestamp", time_text, false, "timestamp",
     "RFC 3339; as sent, or UTC where a number was sent"},
    {"timestamp_ns", integer, true, "", "the same instant, ns since the Unix epoch"},
    {"heart_rate", real, false, "heartRate", "/min"},
    {"blood_oxygen", real, false, "bloodOxygen", "%"},
    {"systolic", real, false, "systolic", "mmHg"},
    {"diastolic", real, false, "diastolic", "mmHg"},
    {"temperature", real, false, "temperature", "Cel"},
    {"respiratory_rate", real, false, "respiratoryRate", "/min"},
    {"glucose", real, false, "glucose", "mmol/L"},
    {"weight", real, false, "weight", "kg"},
    {"height", real, false, "height", "cm"},
    {"position", key_text, false, "position", "of the body, e.g. SUPINE"},
    {"collected", json, false, "collected",
     "of each value sent with a unit what was sent: {field: {\"value\": number, \"unit\": text}}"},
    {"unusual", json, false, "unusual", "an array: fields outside the usual range"},
}};

constexpr std::array<RecordColumn, 7> metric_columns{{
    {"metric_id", key_text, false, "metricId", "the metric"},
    {"trial_id", key_text, false, "studyId", "the study"},
    {"site_id", key_text, false, "siteId", "the study's site"},
    {"value", real, false, "value", "the value"},
    {"timestamp", time_text, false, "timestamp",
     "RFC 3339; as sent, or UTC where a number or none was sent"},
    {"timestamp_ns", integer, true, "", "the same instant, ns since the Unix epoch"},
    {"annotations", json, false, "annotations", "an array of texts"},
}};

constexpr std::array<RecordColumn, 18> audit_columns{{
    {"actor", key_text, false, "who", "a token's name, an account; NULL: anonymous"},
    {"roles", json, false, "roles", "an array of texts: the token's"},
    {"activity", key_text, false, "what",
     "read, login_failure, refused, setting or command (docs/decisions/audit.md)"},
    {"outcome", key_text, false, "outcome", "ok, or why not"},
    {"target", text, false, "target", "a route's template, a setting, a command"},
    {"trial_id", key_text, false, "studyId", "the one study that it concerns; NULL: not one"},
    {"site_id", key_text, false, "siteId", "likewise"},
    {"patient_id", key_text, false, "subject", "likewise"},
    {"timestamp", time_text, false, "timestamp", "RFC 3339, UTC"},
    {"timestamp_ns", integer, true, "", "the same instant, ns since the Unix epoch"},
    {"zone", key_text, false, "zone", "offset of the machine's local time from UTC then"},
    {"row_count", integer, false, "rows", "of a read: rows that were sent"},
    {"times", integer, false, "times", "as often as that did it happen"},
    {"reason", text, false, "why", "in the words of who did it"},
    {"detail", json, false, "detail", "an object: what else was asked for, what else is known"},
    {"old_value", text, false, "old", "of a setting, before"},
    {"new_value", text, false, "new", "of a setting, after"},
    {"source", key_text, false, "origin", "protocol and address, or `command`"},
}};

using Names = std::array<std::string_view, 2>;
constexpr std::array<std::string_view, 1> by_timestamp{"timestamp_ns"};
constexpr Names by_patient{"patient_id", "timestamp_ns"};
constexpr Names by_trial{"trial_id", "timestamp_ns"};
constexpr Names by_device{"device_id", "timestamp_ns"};
constexpr Names by_metric{"metric_id", "timestamp_ns"};
constexpr Names by_actor{"actor", "timestamp_ns"};

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

constexpr std::array<RecordIndex, 4> audit_indexes{{
    {"audit_records_by_patient", by_patient},
    {"audit_records_by_actor", by_actor},
    {"audit_records_by_trial", by_trial},
    {"audit_records_by_timestamp", by_timestamp},
}};

constexpr std::array<RecordTable, 5> tables{{
    {"epro_reports", "patients' reports", report_columns, report_indexes},
    {"qol_answers", "answers to single questions of an instrument", answer_columns, answer_indexes},
    {"vital_signs", "measurements of devices, in the contract's units", vital_columns,
     vital_indexes},
    {"trial_metrics", "metrics of a study at a site", metric_columns, metric_indexes},
    {"audit_records", "the audit trail: who did what, when and why", audit_columns, audit_indexes},
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
