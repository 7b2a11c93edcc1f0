// SPDX-License-Identifier: Apache-2.0
#include "status_page.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace trialwire {
namespace {

constexpr std::string_view unknown = "-";

/// "1,234,567"
std::string number(double value) {
  std::string digits = fmt::format("{:.0f}", std::max(value, 0.0));
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

/// "3.1 MiB"
std::string size(double bytes) {
  constexpr std::array<std::string_view, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < units.size(); ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

/// "0.4 s", "14 min", "3 h 5 min", "2 d 3 h"
std::string age(double seconds) {
  if (seconds < 120) return fmt::format("{:.1f} s", std::max(seconds, 0.0));
  auto minutes = static_cast<std::uint64_t>(seconds / 60);
  if (minutes < 120) return fmt::format("{} min", minutes);
  if (minutes < 48 * 60) return fmt::format("{} h {} min", minutes / 60, minutes % 60);
  return fmt::format("{} d {} h", minutes / 1'440, minutes / 60 % 24);
}

class Page {
 public:
  Page(const StatusLooks& looks, const StatusStyle& style) : looks_(looks), style_(style) {}

  std::string text() {
    add_head();
    if (!looks_.now.all("trialwire_journal_records_total").empty()) {
      add_intake();
      add_journal();
    }
    add_breakers();
    add_routes();
    add_sinks();
    add_troubles();
    return std::move(text_);
  }

 private:
  using Labels = MetricLabels;

  double now(std::string_view name, const Labels& labels = {}) const {
    return looks_.now.sum_or_zero(name, labels);
  }
  /// Growth a second since the look before.
  std::optional<double> rate(std::string_view name, const Labels& labels = {}) const {
    if (looks_.apart.count() <= 0) return std::nullopt;
    double grown = now(name, labels) - looks_.before.sum_or_zero(name, labels);
    return std::max(grown, 0.0) / looks_.apart.count();
  }
  std::string rate_text(std::string_view name, const Labels& labels = {}) const {
    auto per_second = rate(name, labels);
    return per_second ? number(std::round(*per_second)) : std::string(unknown);
  }
  /// By intake itself, and before anything was handled.
  std::string refused_text() const {
    auto by_intake = rate("trialwire_ingest_requests_refused_total");
    auto before = rate("trialwire_admission_refused_total", {{"server", "http"}});
    return by_intake && before ? number(std::round(*by_intake + *before)) : std::string(unknown);
  }
  /// Mean of what a histogram saw since the look before.
  std::optional<double> mean(const std::string& name, const Labels& labels) const {
    double count =
        now(name + "_count", labels) - looks_.before.sum_or_zero(name + "_count", labels);
    if (count <= 0 || looks_.apart.count() <= 0) return std::nullopt;
    return (now(name + "_sum", labels) - looks_.before.sum_or_zero(name + "_sum", labels)) / count;
  }

  template <typename... Arguments>
  void add(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Arguments>(arguments)...);
  }
  std::string painted(std::string_view text, std::string_view color) const {
    return style_.color && !color.empty() ? fmt::format("\x1b[{}m{}\x1b[0m", color, text)
                                          : std::string(text);
  }

  void add_head() {
    auto build = looks_.now.all("trialwire_build_info");
    std::string version;
    if (!build.empty()) {
      auto found = build.front().labels.find("version");
      if (found != build.front().labels.end()) version = found->second;
    }
    add("{} {}\n", painted("trialwire", "1"), version);
  }

  void add_intake() {
    auto bytes = rate("trialwire_journal_payload_bytes_total");
    add("{:<9} {} records/s, {}/s, refused {} requests/s, {} connections, unacknowledged {} of "
        "{}\n",
        "intake", rate_text("trialwire_journal_records_total"),
        bytes ? size(*bytes) : std::string(unknown), refused_text(),
        number(now("trialwire_http_connections", {{"server", "http"}})),
        size(now("trialwire_journal_pending_bytes")),
        size(now("trialwire_journal_pending_bytes_limit")));
  }

  void add_journal() {
    std::string state = painted("accepts", "32");
    if (now("trialwire_journal_blocked") > 0) state = painted("no room for a segment", "31");
    if (now("trialwire_journal_undelivered_full") > 0) {
      state = painted("refuses: too much is undelivered", "31");
    }
    if (now("trialwire_journal_failed") > 0) state = painted("its disk failed", "31");
    const double limit = now("trialwire_journal_undelivered_bytes_limit");
    const double undelivered = now("trialwire_journal_undelivered_bytes");
    std::string of_limit =
        limit > 0 ? fmt::format(" of {} ({:.0f} %)", size(limit), 100 * undelivered / limit) : "";
    add("{:<9} {}, next sequence {}, {} on disk of {}, undelivered {}{}\n", "journal", state,
        number(now("trialwire_journal_next_sequence")), size(now("trialwire_journal_disk_bytes")),
        size(now("trialwire_journal_disk_bytes_max")), size(undelivered), of_limit);
  }

  /// "breakers  postgres closed, queries open (1,204 calls refused)"
  void add_breakers() {
    std::string line;
    for (const MetricSample& one : looks_.now.all("trialwire_breaker_state")) {
      if (one.value <= 0) continue;
      const std::string& dependency = one.labels.at("dependency");
      const std::string& state = one.labels.at("state");
      const double refused = now("trialwire_breaker_calls_total",
                                 {{"dependency", dependency}, {"outcome", "refused"}});
      line += fmt::format("{}{} {}", line.empty() ? "" : ", ", dependency,
                          painted(state, state == "closed" ? "32" : "31"));
      if (refused > 0) line += fmt::format(" ({} calls refused)", number(refused));
    }
    if (!line.empty()) add("{:<9} {}\n", "breakers", line);
  }

  /// "routes    13 closed", or "routes    12 closed, POST /submit open (1,204 requests refused)"
  void add_routes() {
    std::size_t closed = 0;
    std::string line;
    for (const MetricSample& one : looks_.now.all("trialwire_route_breaker_state")) {
      if (one.value <= 0) continue;
      const std::string& state = one.labels.at("state");
      if (state == "closed") {
        ++closed;
        continue;
      }
      const std::string& method = one.labels.at("method");
      const std::string& route = one.labels.at("route");
      line += fmt::format(", {} {} {}", method, route, painted(state, "31"));
      const double refused =
          now("trialwire_route_breaker_refused_total", {{"method", method}, {"route", route}});
      if (refused > 0) line += fmt::format(" ({} requests refused)", number(refused));
    }
    if (closed > 0 || !line.empty()) add("{:<9} {} closed{}\n", "routes", closed, line);
  }

  static std::string_view color_of(std::string_view state) {
    if (state == "running") return "32";
    return state == "stuck" ? "31" : "33";
  }

  void add_sinks() {
    auto lanes = looks_.now.all("trialwire_sink_lag_records");
    if (lanes.empty()) return add("no sinks\n");
    add("\n{}\n", painted(fmt::format("{:<10} {:>4}  {:<9} {:>13} {:>10} {:>12} {:>12} {:>8} {:>9} "
                                      "{:>9} {:>7}",
                                      "sink", "lane", "state", "lag records", "bytes", "age",
                                      "delivered/s", "a batch", "it takes", "retries", "dead"),
                          "1"));
    for (const MetricSample& lane : lanes) add_lane(lane);
    add_dead_letters();
  }

  void add_lane(const MetricSample& lane) {
    const Labels& labels = lane.labels;
    std::string state(unknown);
    for (const MetricSample& one : looks_.now.all("trialwire_sink_state", labels)) {
      if (one.value > 0) state = one.labels.at("state");
    }
    auto batch = mean("trialwire_sink_batch_records", labels);
    auto takes = mean("trialwire_sink_deliver_seconds", labels);
    const bool has_bytes = !looks_.now.all("trialwire_sink_lag_bytes", labels).empty();
    auto label = [&](const char* name) {
      auto found = labels.find(name);
      return found == labels.end() ? std::string(unknown) : found->second;
    };
    // The color around a padded text: escapes have no width.
    add("{:<10} {:>4}  {} {:>13} {:>10} {:>12} {:>12} {:>8} {:>9} {:>9} {:>7}\n", label("sink"),
        label("lane"), painted(fmt::format("{:<9}", state), color_of(state)), number(lane.value),
        has_bytes ? size(now("trialwire_sink_lag_bytes", labels)) : std::string(unknown),
        age(now("trialwire_sink_lag_seconds", labels)),
        rate_text("trialwire_sink_delivered_records_total", labels),
        batch ? number(*batch) : std::string(unknown),
        takes ? fmt::format("{:.1f} ms", 1'000 * *takes) : std::string(unknown),
        number(now("trialwire_sink_retries_total", labels)),
        number(now("trialwire_sink_dead_letters_total", labels)));
  }

  void add_dead_letters() {
    for (const MetricSample& one : looks_.now.all("trialwire_sink_dead_letters_waiting")) {
      if (one.value <= 0) continue;
      add("\n{}", painted(fmt::format("{} dead letters of {} wait for you: trialwire deadletter "
                                      "list\n",
                                      number(one.value), one.labels.at("sink")),
                          "33"));
    }
  }

  /// "NAME VERDICT: DETAIL" of each part; what is ok is in the table.
  void add_troubles() {
    std::string_view left = looks_.readiness;
    bool first = true;
    while (!left.empty()) {
      const std::string_view line = left.substr(0, left.find('\n'));
      left.remove_prefix(std::min(left.size(), line.size() + 1));
      const std::string_view verdict = line.substr(0, line.find(':'));
      if (line.empty() || verdict.ends_with(" ok")) continue;
      add("{}{}\n", std::exchange(first, false) ? "\n" : "",
          painted(line, verdict.ends_with(" failed") ? "31" : "33"));
    }
  }

  const StatusLooks& looks_;
  const StatusStyle& style_;
  std::string text_;
};

}  // namespace

std::string status_page(const StatusLooks& looks, const StatusStyle& style) {
  return Page(looks, style).text();
}

}  // namespace trialwire
