// SPDX-License-Identifier: Apache-2.0
#include "ingest/metrics.hpp"

namespace trialwire::ingest {
namespace {

telemetry::Counter& outcome(telemetry::Registry& registry, std::string_view kind,
                            std::string_view outcome) {
  return registry.counter("trialwire_ingest_records_total",
                          "Records that were sent, by what became of them.",
                          {{"kind", std::string(kind)}, {"outcome", std::string(outcome)}});
}

telemetry::Counter& body_bytes(telemetry::Registry& registry, std::string_view kind,
                               std::string_view encoding) {
  return registry.counter("trialwire_ingest_body_bytes_total",
                          "Bytes of request bodies as received, by content encoding.",
                          {{"kind", std::string(kind)}, {"encoding", std::string(encoding)}});
}

telemetry::Labels kind_label(std::string_view kind) {
  return {{"kind", std::string(kind)}};
}

}  // namespace

IntakeMetrics::IntakeMetrics(telemetry::Registry& registry, std::string_view kind)
    : accepted_(outcome(registry, kind, "accepted")),
      duplicate_(outcome(registry, kind, "duplicate")),
      conflict_(outcome(registry, kind, "conflict")),
      invalid_(outcome(registry, kind, "invalid")),
      refused_(outcome(registry, kind, "refused")),
      unknown_fields_(registry.counter("trialwire_ingest_unknown_fields_total",
                                       "Fields of accepted records that the kind does not know.",
                                       kind_label(kind))),
      flagged_(registry.counter("trialwire_ingest_flagged_records_total",
                                "Records taken in with a flag, such as an implausible time.",
                                kind_label(kind))),
      body_bytes_(body_bytes(registry, kind, "identity")),
      gzip_bytes_(body_bytes(registry, kind, "gzip")),
      inflated_bytes_(registry.counter("trialwire_ingest_inflated_bytes_total",
                                       "Bytes that gzip bodies held.", kind_label(kind))),
      request_records_(registry.histogram("trialwire_ingest_request_records",
                                          "Records in one array or NDJSON request.",
                                          telemetry::size_buckets(), kind_label(kind))) {
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    // Found by the journal, not in a record: counted as the outcome `conflict`.
    if (static_cast<Rule>(i) == Rule::conflict) continue;
    rules_[i] = &registry.counter(
        "trialwire_ingest_field_errors_total", "Errors found in records, by rule.",
        {{"kind", std::string(kind)}, {"rule", std::string(name_of(static_cast<Rule>(i)))}});
  }
  // Only what intake itself answers with: a family of every code would be mostly zeros.
  for (ErrorCode code :
       {ErrorCode::invalid_argument, ErrorCode::forbidden, ErrorCode::payload_too_large,
        ErrorCode::unsupported_media_type, ErrorCode::unavailable, ErrorCode::overloaded,
        ErrorCode::disk_full, ErrorCode::internal}) {
    codes_[static_cast<std::size_t>(code)] = &registry.counter(
        "trialwire_ingest_requests_refused_total", "Requests refused as a whole, by error.",
        {{"kind", std::string(kind)}, {"code", std::string(traits(code).label)}});
  }
}

void IntakeMetrics::body(std::size_t received_bytes, std::size_t inflated_bytes,
                         bool gzip) noexcept {
  (gzip ? gzip_bytes_ : body_bytes_).add(received_bytes);
  if (gzip) inflated_bytes_.add(inflated_bytes);
}

void IntakeMetrics::stored(std::uint32_t accepted, std::uint32_t duplicates,
                           std::uint32_t conflicts) noexcept {
  accepted_.add(accepted);
  if (duplicates != 0) duplicate_.add(duplicates);
  if (conflicts != 0) conflict_.add(conflicts);
}

void IntakeMetrics::errors(const FieldErrors& errors) noexcept {
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    auto count = errors.count(static_cast<Rule>(i));
    if (count != 0 && rules_[i] != nullptr) rules_[i]->add(count);
  }
}

void IntakeMetrics::refused(ErrorCode code, std::uint64_t records) noexcept {
  refused_.add(records);
  telemetry::Counter* counter = codes_[static_cast<std::size_t>(code)];
  if (counter == nullptr) counter = codes_[static_cast<std::size_t>(ErrorCode::internal)];
  counter->add();
}

void publish_limits(telemetry::Registry& registry, const IntakeOptions& options) {
  auto publish = [&](const char* name, std::size_t value) {
    registry.gauge("trialwire_ingest_limit", "Configured bounds of the intake.", {{"limit", name}})
        .set(static_cast<double>(value));
  };
  publish("inflated_bytes_max", options.inflated_bytes_max);
  publish("records_max", options.records_max);
  publish("errors_max", options.errors_max);
  publish("record_bytes_max", options.record_bytes_max);
  publish("json_depth_max", options.json_depth_max);
  publish("object_fields_max", options.object_fields_max);
}

}  // namespace trialwire::ingest
