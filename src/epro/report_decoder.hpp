// SPDX-License-Identifier: Apache-2.0
// From JSON to PatientReport: the current form and that of older clients' /submit. Plain functions;
// they are what intake validates with and what a sink decodes the journal with.
#pragma once
#include "epro/report.hpp"
#include "epro/report_limits.hpp"
#include "ingest/kind.hpp"

namespace trialwire::epro {

/// A report together with how its subject was written, for the answer.
struct ReadReport {
  PatientReport report;
  std::string_view patient_id_json;
};

/// Both: false when the JSON is malformed; otherwise true, with what is wrong added to
/// `context.errors`, and `out` complete if nothing is.
bool read_report(ingest::JsonReader& reader, ingest::DecodeContext& context,
                 const ReportLimits& limits, ReadReport& out);
bool read_legacy_report(ingest::JsonReader& reader, ingest::DecodeContext& context,
                        const ReportLimits& limits, ReadReport& out);

/// ReportFlag bits for a report received at `received_ns`.
std::uint8_t flags_of(const PatientReport& report, const ReportLimits& limits,
                      std::int64_t received_ns) noexcept;

class ReportDecoder final : public ingest::KindDecoder {
 public:
  explicit ReportDecoder(ReportLimits limits) : limits_(limits) {}
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::epro_report; }
  journal::ContentType content_type() const noexcept override { return journal::ContentType::json; }
  std::string_view label() const noexcept override { return "epro_report"; }
  std::string_view sender_id_field() const noexcept override { return "reportId"; }
  ingest::AboutFields about_fields() const noexcept override {
    return {"patientId", "trialId", "siteId"};
  }
  auth::Scope scope() const noexcept override { return auth::Scope::reports_write; }
  bool decode(ingest::JsonReader& reader, ingest::DecodeContext& context,
              ingest::Decoded& out) const override;

 private:
  ReportLimits limits_;
};

/// `{"report_id","patient_id","data"}`: a report without score, instrument "legacy", the text in
/// `data`. No record says which trial it belongs to: it is flagged `unattributed`.
class LegacyReportDecoder final : public ingest::KindDecoder {
 public:
  explicit LegacyReportDecoder(ReportLimits limits) : limits_(limits) {}
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::epro_report; }
  journal::ContentType content_type() const noexcept override {
    return journal::ContentType::json_legacy;
  }
  std::string_view label() const noexcept override { return "epro_report"; }
  std::string_view sender_id_field() const noexcept override { return "report_id"; }
  ingest::AboutFields about_fields() const noexcept override { return {"patient_id", {}, {}}; }
  auth::Scope scope() const noexcept override { return auth::Scope::reports_write; }
  bool decode(ingest::JsonReader& reader, ingest::DecodeContext& context,
              ingest::Decoded& out) const override;

 private:
  ReportLimits limits_;
};

}  // namespace trialwire::epro
