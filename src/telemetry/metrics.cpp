// SPDX-License-Identifier: Apache-2.0
#include "telemetry/metrics.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "base/check.hpp"

namespace trialwire::telemetry {

Histogram::Histogram(std::span<const double> upper_bounds)
    : bounds_(upper_bounds.begin(), upper_bounds.end()),
      counts_(std::make_unique<std::atomic<std::uint64_t>[]>(upper_bounds.size() + 1)) {
  TW_CHECK(std::is_sorted(bounds_.begin(), bounds_.end()));
}

void Histogram::observe(double value) noexcept {
  if (std::isnan(value)) return;  // would make the sum useless for ever
  auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  auto& count = counts_[static_cast<std::size_t>(bucket)];
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  sum_.store(sum_.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

std::vector<std::uint64_t> Histogram::counts() const {
  std::vector<std::uint64_t> values(bounds_.size() + 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = counts_[i].load(std::memory_order_relaxed);
  }
  return values;
}

std::span<const double> latency_seconds_buckets() {
  static constexpr std::array<double, 19> bounds{10e-6,  25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3,
                                                 2.5e-3, 5e-3,  10e-3, 25e-3,  50e-3,  0.1,    0.25,
                                                 0.5,    1.0,   2.5,   5.0,    10.0};
  return bounds;
}

std::span<const double> size_buckets() {
  static constexpr std::array<double, 11> bounds{1,    4,     16,    64,     256,    1024,
                                                 4096, 16384, 65536, 262144, 1048576};
  return bounds;
}

namespace {

enum class Type : std::uint8_t { counter, gauge, histogram };

constexpr std::string_view name_of(Type type) {
  switch (type) {
    case Type::counter:
      return "counter";
    case Type::gauge:
      return "gauge";
    case Type::histogram:
      return "histogram";
  }
  return "untyped";
}

/// `colon`: metric names may hold one, label names may not.
bool valid_name(std::string_view name, bool colon) {
  auto letter = [colon](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
  };
  if (name.empty() || !letter(name.front())) return false;
  return std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

void append_escaped(std::string& to, std::string_view text, bool quotes) {
  for (char c : text) {
    if (c == '\\') {
      to += "\\\\";
    } else if (c == '\n') {
      to += "\\n";
    } else if (c == '"' && quotes) {
      to += "\\\"";
    } else {
      to += c;
    }
  }
}

/// `a="1",b="2"`, by name, so that the order of asking does not make a second series.
std::string label_text(Labels labels) {
  std::ranges::sort(labels);
  std::string text;
  for (const auto& [name, value] : labels) {
    TW_CHECK(valid_name(name, false));
    if (!text.empty()) text += ',';
    text += name;
    text += "=\"";
    append_escaped(text, value, true);
    text += '"';
  }
  return text;
}

void append_number(std::string& to, double value) {
  if (std::isnan(value)) {
    to += "NaN";
  } else if (std::isinf(value)) {
    to += value > 0 ? "+Inf" : "-Inf";
  } else if (value == std::floor(value) && std::abs(value) < 1e15) {
    fmt::format_to(std::back_inserter(to), "{}", static_cast<std::int64_t>(value));
  } else {
    fmt::format_to(std::back_inserter(to), "{}", value);
  }
}

void append_sample(std::string& to, std::string_view name, std::string_view labels) {
  to += name;
  if (!labels.empty()) {
    to += '{';
    to += labels;
    to += '}';
  }
  to += ' ';
}

/// All cells with the same labels.
struct Series {
  std::vector<std::unique_ptr<Counter>> counters;
  std::vector<std::unique_ptr<Gauge>> gauges;
  std::vector<std::unique_ptr<Histogram>> histograms;
  std::vector<std::shared_ptr<const std::function<double()>>> observed;  // also held by a scrape
};

struct Family {
  Type type = Type::gauge;
  std::string help;
  std::vector<double> bounds;
  std::map<std::string, Series> series;
};

/// What a scrape needs of a series, so that it computes without the registry's lock.
struct SeriesView {
  std::string labels;
  std::vector<const Counter*> counters;
  std::vector<const Gauge*> gauges;
  std::vector<const Histogram*> histograms;
  std::vector<std::shared_ptr<const std::function<double()>>> observed;
};

struct FamilyView {
  std::string name;
  std::string help;
  Type type = Type::gauge;
  std::vector<double> bounds;
  std::vector<SeriesView> series;
};

void append_histogram(std::string& to, const FamilyView& family, const SeriesView& series) {
  std::vector<std::uint64_t> counts(family.bounds.size() + 1);
  double sum = 0;
  for (const Histogram* cell : series.histograms) {
    auto values = cell->counts();
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += values[i];
    sum += cell->sum();
  }
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    to += family.name;
    to += "_bucket{";
    to += series.labels;
    if (!series.labels.empty()) to += ',';
    to += "le=\"";
    bool last = i == family.bounds.size();
    append_number(to, last ? std::numeric_limits<double>::infinity() : family.bounds[i]);
    fmt::format_to(std::back_inserter(to), "\"}} {}\n", total);
  }
  append_sample(to, family.name + "_sum", series.labels);
  append_number(to, sum);
  to += '\n';
  append_sample(to, family.name + "_count", series.labels);
  fmt::format_to(std::back_inserter(to), "{}\n", total);
}

void append_series(std::string& to, const FamilyView& family, const SeriesView& series) {
  if (family.type == Type::histogram) return append_histogram(to, family, series);
  std::uint64_t count = 0;
  for (const Counter* cell : series.counters) count += cell->value();
  if (family.type == Type::counter && series.observed.empty()) {
    append_sample(to, family.name, series.labels);
    fmt::format_to(std::back_inserter(to), "{}\n", count);
    return;
  }
  auto value = static_cast<double>(count);
  for (const Gauge* cell : series.gauges) value += cell->value();
  bool there = !series.gauges.empty() || !series.counters.empty();
  for (const auto& compute : series.observed) {
    const double observed = (*compute)();
    if (std::isnan(observed)) continue;
    there = true;
    value += observed;
  }
  if (!there) return;
  append_sample(to, family.name, series.labels);
  append_number(to, value);
  to += '\n';
}

}  // namespace

struct Registry::State {
  mutable std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;

  Series& series(std::string_view name, std::string_view help, Type type, Labels labels,
                 std::span<const double> bounds = {}) {
    TW_CHECK(valid_name(name, true));
    auto [place, created] = families.try_emplace(std::string(name));
    Family& family = place->second;
    if (created) {
      family.type = type;
      family.help = help;
      family.bounds.assign(bounds.begin(), bounds.end());
    }
    TW_CHECK(family.type == type);
    TW_CHECK(std::ranges::equal(family.bounds, bounds));
    return family.series[label_text(std::move(labels))];
  }

  std::vector<FamilyView> view() const {
    std::lock_guard lock(mutex);
    std::vector<FamilyView> views;
    views.reserve(families.size());
    for (const auto& [name, family] : families) {
      FamilyView& view =
          views.emplace_back(FamilyView{name, family.help, family.type, family.bounds, {}});
      for (const auto& [labels, series] : family.series) {
        SeriesView& cells = view.series.emplace_back();
        cells.labels = labels;
        for (const auto& cell : series.counters) cells.counters.push_back(cell.get());
        for (const auto& cell : series.gauges) cells.gauges.push_back(cell.get());
        for (const auto& cell : series.histograms) cells.histograms.push_back(cell.get());
        cells.observed = series.observed;
      }
    }
    return views;
  }
};

Registry::Registry() : state_(std::make_unique<State>()) {}
Registry::~Registry() = default;

Counter& Registry::counter(std::string_view name, std::string_view help, Labels labels) {
  std::lock_guard lock(state_->mutex);
  auto& series = state_->series(name, help, Type::counter, std::move(labels));
  return *series.counters.emplace_back(std::make_unique<Counter>());
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, Labels labels) {
  std::lock_guard lock(state_->mutex);
  auto& series = state_->series(name, help, Type::gauge, std::move(labels));
  return *series.gauges.emplace_back(std::make_unique<Gauge>());
}

Histogram& Registry::histogram(std::string_view name, std::string_view help,
                               std::span<const double> upper_bounds, Labels labels) {
  std::lock_guard lock(state_->mutex);
  auto& series = state_->series(name, help, Type::histogram, std::move(labels), upper_bounds);
  return *series.histograms.emplace_back(std::make_unique<Histogram>(upper_bounds));
}

void Registry::observe(std::string_view name, std::string_view help, Labels labels,
                       std::function<double()> value) {
  std::lock_guard lock(state_->mutex);
  state_->series(name, help, Type::gauge, std::move(labels))
      .observed.push_back(std::make_shared<const std::function<double()>>(std::move(value)));
}

void Registry::observe_total(std::string_view name, std::string_view help, Labels labels,
                             std::function<double()> value) {
  std::lock_guard lock(state_->mutex);
  state_->series(name, help, Type::counter, std::move(labels))
      .observed.push_back(std::make_shared<const std::function<double()>>(std::move(value)));
}

std::string Registry::text() const {
  std::string text;
  for (const FamilyView& family : state_->view()) {
    text += "# HELP " + family.name + ' ';
    append_escaped(text, family.help, false);
    fmt::format_to(std::back_inserter(text), "\n# TYPE {} {}\n", family.name, name_of(family.type));
    for (const SeriesView& series : family.series) append_series(text, family, series);
  }
  return text;
}

}  // namespace trialwire::telemetry
