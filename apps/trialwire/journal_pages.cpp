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

std::string lost_text(const journal::Gap& gap) {
  if (gap.lost_from == gap.resume_sequence) return "bytes without records";
  return fmt::format("sequences {} to {}", gap.lost_from, gap.resume_sequence - 1);
}

/// "sqlite/0 at 6, kafka/0 at 4"
std::string consumers_text(const journal::Consumers& consumers) {
  std::string text;
  for (const auto& cursor : consumers.cursors) {
    fmt::format_to(std::back_inserter(text), "{}{} at {}", text.empty() ? "" : ", ",
                   cursor.consumer, cursor.next_sequence);
  }
  return text.empty() ? "none known" : text;
}

json::array consumers_json(const journal::Consumers& consumers) {
  json::array cursors;
  for (const auto& cursor : consumers.cursors) {
    cursors.push_back({{"consumer", cursor.consumer}, {"nextSequence", cursor.next_sequence}});
  }
  return cursors;
}

json::array gaps_json(const std::vector<journal::Gap>& all) {
  json::array gaps;
  for (const auto& gap : all) {
    gaps.push_back({{"segment", gap.segment},
                    {"offset", gap.offset},
                    {"lostFrom", gap.lost_from},
                    {"resumeSequence", gap.resume_sequence}});
  }
  return gaps;
}

json::array texts_json(const std::vector<std::string>& all) {
  json::array texts;
  for (const auto& text : all) texts.emplace_back(text);
  return texts;
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
    fmt::format_to(out, "repaired   segment {:x} at {}: {} lost\n", gap.segment, gap.offset,
                   lost_text(gap));
  }
  fmt::format_to(out, "consumers  {}\n", consumers_text(info.consumers));
  for (const auto& line : info.unknown) fmt::format_to(out, "not known  {}\n", line);
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
                    {"consumers", consumers_json(info.consumers)},
                    {"notKnown", texts_json(info.unknown)},
                    {"segments", std::move(segments)},
                    {"gaps", gaps_json(info.gaps)}};
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
  fmt::format_to(out, "consumers: {}\n", consumers_text(report.consumers));
  for (const auto& line : report.unknown) fmt::format_to(out, "not known: {}\n", line);
  if (report.problems > 0) return text + fmt::format("wrong: {} problems\n", report.problems);
  if (report.gaps.empty()) return text + "ok: nothing was changed since it was written\n";
  text += "ok, but for what repairs gave up:\n";
  for (const auto& gap : report.gaps) {
    fmt::format_to(out, "  segment {:x} offset {}: {}\n", gap.segment, gap.offset, lost_text(gap));
  }
  return text + "nothing else was changed since it was written\n";
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
                    {"consumers", consumers_json(report.consumers)},
                    {"notKnown", texts_json(report.unknown)},
                    {"gaps", gaps_json(report.gaps)},
                    {"findings", std::move(findings)}};
  return json::serialize(page) + "\n";
}

std::string repair_text(const journal::RepairReport& report) {
  std::string text;
  if (report.problems.empty() && report.actions.empty()) text = "nothing to repair\n";
  auto list = [&text](std::string_view title, const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    fmt::format_to(std::back_inserter(text), "{}:\n", title);
    for (const auto& line : lines) fmt::format_to(std::back_inserter(text), "  {}\n", line);
  };
  list("found", report.problems);
  list(report.applied ? "done" : "would be done (--apply)", report.actions);
  list(report.applied ? "lost" : "would be lost", report.lost);
  list("not known", report.unknown);
  return text;
}

}  // namespace trialwire
