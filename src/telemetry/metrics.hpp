// SPDX-License-Identifier: Apache-2.0
// Metrics without shared cache lines. A cell (Counter, Gauge, Histogram) belongs to the one thread
// that asked for it and is written with plain stores; a scrape adds up all cells of a family that
// have the same labels. Cells live as long as the registry. Asking for a cell locks and allocates:
// do it at start, not per request.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trialwire::telemetry {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// Only grows. One writing thread.
class alignas(64) Counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Goes up and down. `set` and `add` from one thread.
class alignas(64) Gauge {
 public:
  void set(double value) noexcept { value_.store(value, std::memory_order_relaxed); }
  void add(double n) noexcept { set(value() + n); }
  double value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

/// Buckets fixed at creation; values in the metric's base unit (seconds, bytes, records).
/// One writing thread; `observe` is a short linear or binary search and two stores.
class Histogram {
 public:
  explicit Histogram(std::span<const double> upper_bounds);
  void observe(double value) noexcept;
  std::span<const double> upper_bounds() const noexcept { return bounds_; }
  /// Per bucket, not cumulative; one more than upper_bounds (the +Inf bucket is last).
  std::vector<std::uint64_t> counts() const;
  double sum() const noexcept { return sum_.load(std::memory_order_relaxed); }

 private:
  std::vector<double> bounds_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;
  std::atomic<double> sum_{0};
};

/// 10 µs to 10 s, in a 1-2.5-5 series.
std::span<const double> latency_seconds_buckets();
/// 1 to 1,048,576 in powers of four.
std::span<const double> size_buckets();

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// A new cell of the family `name`, created on first use. Names follow Prometheus: prefix
  /// trialwire_, base unit, `_total` for counters. A family keeps its first help text and type;
  /// asking for it with another type is a broken invariant.
  Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, Labels labels = {});
  Histogram& histogram(std::string_view name, std::string_view help,
                       std::span<const double> upper_bounds, Labels labels = {});

  /// A gauge that is computed at scrape time, on the scraping thread. NaN: there is none for now.
  void observe(std::string_view name, std::string_view help, Labels labels,
               std::function<double()> value);

  /// The same for a counter that someone else counts (CPU seconds, bytes of a library).
  void observe_total(std::string_view name, std::string_view help, Labels labels,
                     std::function<double()> value);

  /// Prometheus text exposition format 0.0.4, families sorted by name. Any thread.
  std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trialwire::telemetry
