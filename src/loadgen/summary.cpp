// SPDX-License-Identifier: Apache-2.0
#include "loadgen/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "loadgen/csv_mapping.hpp"

namespace trialwire::loadgen {
namespace {

constexpr std::pair<std::string_view, double> quantiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

// 1234567 as "1,234,567".
std::string grouped(std::uint64_t value) {
  auto text = fmt::to_string(value);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return text;
}

std::string duration_text(std::uint64_t nanoseconds) {
  const auto value = static_cast<double>(nanoseconds);
  if (value < 1e6) return fmt::format("{:.0f} µs", value / 1e3);
  if (value < 1e9) return fmt::format("{:.2f} ms", value / 1e6);
  return fmt::format("{:.2f} s", value / 1e9);
}

std::string bytes_text(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value < 1e6) return fmt::format("{:.1f} kB", value / 1e3);
  if (value < 1e9) return fmt::format("{:.1f} MB", value / 1e6);
  return fmt::format("{:.2f} GB", value / 1e9);
}

double per_second(std::uint64_t count, const LoadResult& result) noexcept {
  return result.window_seconds > 0 ? static_cast<double>(count) / result.window_seconds : 0;
}

std::string loop_text(const LoadOptions& options) {
  if (options.rate == 0) return "closed loop";
  return fmt::format("open loop at {}/s, {} arrivals",
                     grouped(static_cast<std::uint64_t>(options.rate)),
                     options.arrivals == Arrivals::poisson ? "Poisson" : "fixed");
}

std::uint64_t answered_2xx(const Totals& totals) noexcept {
  std::uint64_t sum = 0;
  for (std::size_t status = 200; status < 300; ++status) sum += totals.by_status[status];
  return sum;
}

std::string statuses_text(const Totals& totals) {
  std::string out;
  for (std::size_t status = 0; status < totals.by_status.size(); ++status) {
    if (totals.by_status[status] == 0) continue;
    out += fmt::format("{}{}: {}", out.empty() ? "" : "   ", status,
                       grouped(totals.by_status[status]));
  }
  return out.empty() ? "none" : out;
}

std::string errors_text(const Totals& totals) {
  std::string out;
  const auto add = [&out](std::uint64_t count, std::string_view what) {
    if (count > 0) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", grouped(count), what);
  };
  add(totals.connections_failed, "connections not opened");
  add(totals.connections_lost, "connections lost");
  add(totals.reconnected, "opened again");
  add(totals.malformed, "unreadable answers");
  add(totals.unanswered, "requests without answer");
  add(totals.timed_out, "timed out");
  if (out.empty()) return "none";
  if (!totals.first_error.empty()) out += "; first: " + totals.first_error;
  return out;
}

}  // namespace

std::string summary_text(const LoadResult& result) {
  const Totals& totals = result.totals;
  const LoadOptions& options = result.options;
  std::string text;
  auto out = std::back_inserter(text);
  fmt::format_to(out, "{}{}   {} connections × {}, {}, {:.1f} s{}\n", result.endpoint, options.path,
                 options.connections, options.pipeline, loop_text(options), result.window_seconds,
                 result.interrupted ? " (interrupted)" : "");
  fmt::format_to(
      out, "  reports   {:.0f}/s   {} accepted, {}{:.0f} bytes each{}\n",
      per_second(totals.window_accepted_reports, result), grouped(totals.accepted_reports),
      totals.rejected_reports > 0 ? fmt::format("{} rejected, ", grouped(totals.rejected_reports))
                                  : "",
      result.report_bytes, options.ndjson > 0 ? fmt::format(", {} in a body", options.ndjson) : "");
  fmt::format_to(out, "  requests  {:.0f}/s   {} sent, {} answered\n",
                 per_second(totals.window_answered, result), grouped(totals.sent),
                 grouped(totals.answered));
  fmt::format_to(out, "  status    {}\n", statuses_text(totals));
  fmt::format_to(out, "  errors    {}\n", errors_text(totals));
  fmt::format_to(out, "  latency  ");
  for (const auto& [name, fraction] : quantiles) {
    fmt::format_to(out, " {} {}  ", name, duration_text(totals.latency.quantile(fraction)));
  }
  fmt::format_to(out, " max {}{}\n", duration_text(totals.latency.max()),
                 options.rate > 0 ? "   from when each was due" : "");
  if (totals.not_sent > 0) {
    fmt::format_to(out,
                   "  behind    {} requests were due and never sent: all connections were busy;\n"
                   "            the latencies above are of those sent\n",
                   grouped(totals.not_sent));
  }
  fmt::format_to(out, "  bytes     {} sent, {} received\n", bytes_text(totals.bytes_sent),
                 bytes_text(totals.bytes_received));
  return text;
}

std::string summary_json(const LoadResult& result) {
  const Totals& totals = result.totals;
  std::string text;
  auto out = std::back_inserter(text);
  fmt::format_to(out, R"({{"url":{},"connections":{},"pipeline":{},"rate":{},"ndjson":{},)",
                 json_string("http://" + result.endpoint + result.options.path),
                 result.options.connections, result.options.pipeline, result.options.rate,
                 result.options.ndjson);
  fmt::format_to(out, R"("seconds":{:.6f},"windowStartNs":{},"windowEndNs":{},"interrupted":{},)",
                 result.window_seconds, result.window_start_ns, result.window_end_ns,
                 result.interrupted);
  fmt::format_to(out,
                 R"("requestsPerSecond":{:.1f},"reportsPerSecond":{:.1f},"reportBytes":{:.1f},)",
                 per_second(totals.window_answered, result),
                 per_second(totals.window_accepted_reports, result), result.report_bytes);
  fmt::format_to(
      out,
      R"("windowRequests":{},"windowReports":{},"sent":{},"answered":{},"acceptedReports":{},)"
      R"("rejectedReports":{},)",
      totals.window_answered, totals.window_accepted_reports, totals.sent, totals.answered,
      totals.accepted_reports, totals.rejected_reports);
  text += R"("status":{)";
  for (std::size_t status = 0; status < totals.by_status.size(); ++status) {
    if (totals.by_status[status] == 0) continue;
    fmt::format_to(out, R"({}"{}":{})", text.ends_with('{') ? "" : ",", status,
                   totals.by_status[status]);
  }
  fmt::format_to(out,
                 R"(}},"errors":{{"connectionsFailed":{},"connectionsLost":{},"reconnected":{},)"
                 R"("malformed":{},"unanswered":{},"timedOut":{},"notSent":{},"first":{}}},)",
                 totals.connections_failed, totals.connections_lost, totals.reconnected,
                 totals.malformed, totals.unanswered, totals.timed_out, totals.not_sent,
                 json_string(totals.first_error));
  text += R"("latencyUs":{)";
  for (const auto& [name, fraction] : quantiles) {
    fmt::format_to(out, R"("{}":{:.1f},)", name,
                   static_cast<double>(totals.latency.quantile(fraction)) / 1e3);
  }
  fmt::format_to(out, R"("max":{:.1f},"count":{}}},)",
                 static_cast<double>(totals.latency.max()) / 1e3, totals.latency.count());
  fmt::format_to(out, R"("bytesSent":{},"bytesReceived":{},"clientCpu":{:.4f}}})",
                 totals.bytes_sent, totals.bytes_received,
                 result.window_seconds > 0
                     ? static_cast<double>(totals.window_cpu_ns) * 1e-9 / result.window_seconds
                     : 0.0);
  return text;
}

std::string progress_line(const ProgressView& now, const ProgressView& before) {
  const double seconds = std::max(now.seconds - before.seconds, 1e-3);
  auto line = fmt::format("{:4.0f} s  {:>10}/s  {} answered", now.seconds,
                          grouped(static_cast<std::uint64_t>(
                              static_cast<double>(now.answered - before.answered) / seconds)),
                          grouped(now.answered));
  if (now.refused > 0) line += fmt::format(", {} not 2xx", grouped(now.refused));
  if (now.unanswered > 0) line += fmt::format(", {} lost", grouped(now.unanswered));
  if (line.size() > 79) line.resize(79);
  return line;
}

bool flawless(const LoadResult& result) noexcept {
  const Totals& totals = result.totals;
  return totals.answered == totals.sent && answered_2xx(totals) == totals.answered &&
         totals.rejected_reports == 0 && totals.connections_failed == 0 &&
         totals.connections_lost == 0 && totals.not_sent == 0 && totals.answered > 0;
}

}  // namespace trialwire::loadgen
