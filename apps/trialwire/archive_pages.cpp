// SPDX-License-Identifier: Apache-2.0
#include "archive_pages.hpp"

#include <iterator>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "base/rfc3339.hpp"
#include "journal_pages.hpp"

namespace trialwire {
namespace {

namespace json = boost::json;

std::string_view name_of(archive::Severity severity) {
  switch (severity) {
    case archive::Severity::note:
      return "fine";
    case archive::Severity::warning:
      return "warning";
    case archive::Severity::problem:
      return "problem";
  }
  return "unknown";
}

}  // namespace

std::string archive_verify_text(const archive::ArchiveReport& report) {
  std::string text;
  auto out = std::back_inserter(text);
  for (const auto& finding : report.findings) {
    fmt::format_to(out, "archive ({}): {}{}{}\n", name_of(finding.severity), finding.object,
                   finding.object.empty() ? "" : ": ", finding.text);
  }
  if (report.first_sequence == 0) {
    text += "archive: no segments\n";
  } else {
    fmt::format_to(out, "archive: {} segments, {} records, sequences {} to {}, {} stored as {}\n",
                   report.segments, report.records, report.first_sequence, report.next_sequence - 1,
                   size_text(report.raw_bytes), size_text(report.stored_bytes));
  }
  if (report.problems == 0) return text + "archive: ok\n";
  return text + fmt::format("archive: wrong: {} problems\n", report.problems);
}

std::string archive_verify_json(const archive::ArchiveReport& report) {
  json::array findings;
  for (const auto& finding : report.findings) {
    findings.push_back({{"severity", json::string_view(name_of(finding.severity))},
                        {"problem", finding.severity == archive::Severity::problem},
                        {"object", finding.object},
                        {"text", finding.text}});
  }
  const json::object page{{"ok", report.problems == 0},
                          {"problems", report.problems},
                          {"segments", report.segments},
                          {"records", report.records},
                          {"rawBytes", report.raw_bytes},
                          {"storedBytes", report.stored_bytes},
                          {"firstSequence", report.first_sequence},
                          {"nextSequence", report.next_sequence},
                          {"findings", std::move(findings)}};
  return json::serialize(page) + "\n";
}

std::string archive_list_text(const std::vector<archive::Manifest>& manifests) {
  std::string text = fmt::format("{:>10} {:>12} {:>12} {:>10} {:>10} {:>10}  {}\n", "segment",
                                 "first", "last", "records", "bytes", "stored", "last commit");
  for (const auto& manifest : manifests) {
    const auto& segment = manifest.segment;
    fmt::format_to(std::back_inserter(text), "{:>10x} {:>12} {:>12} {:>10} {:>10} {:>10}  {}\n",
                   segment.number, segment.first_sequence, manifest.last_sequence(),
                   segment.records, size_text(manifest.raw_bytes), size_text(manifest.stored_bytes),
                   format_rfc3339_ms(manifest.last_committed_ns));
  }
  return text;
}

std::string archive_list_json(const std::vector<archive::Manifest>& manifests) {
  std::string text;
  for (const auto& manifest : manifests) {
    const auto& segment = manifest.segment;
    const json::object line{{"journalId", manifest.journal.text()},
                            {"segment", segment.number},
                            {"firstSequence", segment.first_sequence},
                            {"lastSequence", manifest.last_sequence()},
                            {"records", segment.records},
                            {"chainHead", journal::to_hex(segment.chain_head)},
                            {"rawBytes", manifest.raw_bytes},
                            {"storedBytes", manifest.stored_bytes},
                            {"lastCommittedAt", format_rfc3339_ms(manifest.last_committed_ns)},
                            {"archivedAt", format_rfc3339_ms(manifest.archived_ns)}};
    text += json::serialize(line) + "\n";
  }
  return text;
}

}  // namespace trialwire
