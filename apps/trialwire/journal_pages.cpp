// SPDX-License-Identifier: Apache-2.0
#include "journal_pages.hpp"

#include <fmt/format.h>
#include <boost/json.hpp>

#include "base/rfc3339.hpp"
#include "config/value.hpp"

namespace trialwire {
namespace {

namespace json = boost::json;

std::string time_text(std::int64_t unix_ns) {
  return unix_ns == 0 ? "-" : format_rfc3339_ms(unix_ns);
}

std::string_view action_text(journal::RecoveryAction action) {
  switch (action) {
    case journal::RecoveryAction::go_on:
      return "fine";
    case journal::RecoveryAction::change:
      return "mended at start";
    case journal::RecoveryAction::warn:
      return "warning";
    case journal::RecoveryAction::refuse:
      return "problem";
  }
  return "unknown";
}

}  // namespace

std::string size_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  auto size = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; size >= 1024 && unit + 1 < units.size(); ++unit) size /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", size, units[unit]);
}

std::string info_text(const std::filesystem::path& directory, const journal::JournalInfo& info) {
  std::string text;
  auto out = std::back_inserter(text);
  fmt::format_to(out, "journal    {}  created {}\n", info.meta.id.text(),
                 time_text(info.meta.created_ns));
  fmt::format_to(out, "directory  {}\n", directory.string());
  fmt::format_to(out, "epoch      {}\n", info.epoch);
  fmt::format_to(out, "sequences  {} to {}, next {}\n", info.first_sequence, info.next_sequence - 1,
                 info.next_sequence);
  fmt::format_to(out, "records    {} in {}\n", info.records, size_text(info.payload_bytes));
  fmt::format_to(out, "disk       {}, {} segments of {}, {} spare\n", size_text(info.disk_bytes),
                 info.segments.size(), size_text(info.meta.segment_bytes), info.spares);
  if (info.retired.through > 0) {
    fmt::format_to(out, "deleted    segments to {:x}, sequences before {}\n", info.retired.through,
                   info.retired.next_sequence);
  }
  for (const auto& gap : info.gaps) {
    fmt::format_to(out, "repaired   segment {:x} at {}: sequences {} to {} lost\n", gap.segment,
                   gap.offset, gap.lost_from, gap.resume_sequence - 1);
  }
  fmt::format_to(out, "state      {}\n",
                 info.refusal.empty() ? "would start" : "would not start: " + info.refusal);
  if (info.segments.empty()) return text;
  fmt::format_to(out, "\n{:>10} {:>12} {:>10} {:>10} {:>10} {:>7}  {}\n", "segment", "first",
                 "records", "batches", "payload", "sealed", "last commit");
  for (const auto& segment : info.segments) {
    const auto& counts = segment.counts;
    fmt::format_to(out, "{:>10x} {:>12} {:>10} {:>10} {:>10} {:>7}  {}\n", counts.number,
                   counts.first_sequence, counts.records, counts.batches,
                   size_text(counts.payload_bytes), segment.sealed ? "yes" : "no",
                   time_text(segment.committed_ns));
  }
  return text;
}

std::string info_json(const std::filesystem::path& directory, const journal::JournalInfo& info) {
  json::array segments;
  for (const auto& segment : info.segments) {
    const auto& counts = segment.counts;
    segments.push_back({{"number", counts.number},
                        {"firstSequence", counts.first_sequence},
                        {"nextSequence", counts.next_sequence},
                        {"records", counts.records},
                        {"batches", counts.batches},
                        {"payloadBytes", counts.payload_bytes},
                        {"sealed", segment.sealed},
                        {"committedAt", time_text(segment.committed_ns)}});
  }
  json::array gaps;
  for (const auto& gap : info.gaps) {
    gaps.push_back({{"segment", gap.segment},
                    {"offset", gap.offset},
                    {"lostFrom", gap.lost_from},
                    {"resumeSequence", gap.resume_sequence}});
  }
  json::object page{{"journalId", info.meta.id.text()},
                    {"createdAt", time_text(info.meta.created_ns)},
                    {"directory", directory.string()},
                    {"epoch", info.epoch},
                    {"firstSequence", info.first_sequence},
                    {"nextSequence", info.next_sequence},
                    {"records", info.records},
                    {"payloadBytes", info.payload_bytes},
                    {"diskBytes", info.disk_bytes},
                    {"segmentBytes", info.meta.segment_bytes},
                    {"spares", info.spares},
                    {"startable", info.refusal.empty()},
                    {"refusal", info.refusal},
                    {"segments", std::move(segments)},
                    {"gaps", std::move(gaps)}};
  return json::serialize(page) + "\n";
}

std::string verify_text(const journal::VerifyReport& report) {
  std::string text;
  auto out = std::back_inserter(text);
  for (const auto& finding : report.findings) {
    auto row = journal::recovery_row(finding.what);
    fmt::format_to(out, "{} ({}): {}\n", row.label, action_text(row.action), finding.line());
  }
  fmt::format_to(out, "{} segments, {} batches, {} records, {} of payload, next sequence {}\n",
                 report.segments, report.batches, report.records, size_text(report.payload_bytes),
                 report.next_sequence);
  if (report.problems == 0) return text + "ok: nothing was changed since it was written\n";
  return text + fmt::format("wrong: {} problems\n", report.problems);
}

std::string verify_json(const journal::VerifyReport& report) {
  json::array findings;
  for (const auto& finding : report.findings) {
    auto row = journal::recovery_row(finding.what);
    findings.push_back({{"case", json::string_view(row.label)},
                        {"problem", row.action == journal::RecoveryAction::refuse},
                        {"file", finding.file.string()},
                        {"offset", finding.offset},
                        {"text", finding.text}});
  }
  json::object page{{"ok", report.problems == 0},
                    {"problems", report.problems},
                    {"segments", report.segments},
                    {"batches", report.batches},
                    {"records", report.records},
                    {"payloadBytes", report.payload_bytes},
                    {"nextSequence", report.next_sequence},
                    {"findings", std::move(findings)}};
  return json::serialize(page) + "\n";
}

std::string repair_text(const journal::RepairReport& report) {
  if (report.problems.empty() && report.actions.empty()) return "nothing to repair\n";
  std::string text;
  auto list = [&text](std::string_view title, const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    fmt::format_to(std::back_inserter(text), "{}:\n", title);
    for (const auto& line : lines) fmt::format_to(std::back_inserter(text), "  {}\n", line);
  };
  list("found", report.problems);
  list(report.applied ? "done" : "would be done (--apply)", report.actions);
  list(report.applied ? "lost" : "would be lost", report.lost);
  return text;
}

}  // namespace trialwire
