// SPDX-License-Identifier: Apache-2.0
#include "journal/dedupe_keeper.hpp"

#include <pthread.h>

#include <algorithm>

#include "base/check.hpp"
#include "journal/dedupe_merge.hpp"
#include "telemetry/log.hpp"

namespace trialwire::journal {
namespace {

constexpr std::size_t merge_inputs_max = 24;   // bounds the memory of a merge
constexpr unsigned merge_ranges_at_once = 16;  // of 4096, between looks at what waits

void log_failure(std::string_view what, const Error& error) {
  telemetry::log(telemetry::LogLevel::error, "journal", what,
                 {{"code", traits(error.code).label}, {"detail", std::string_view(error.text)}});
}

}  // namespace

std::vector<std::uint32_t> run_order(const HotTable& generation, unsigned partition_bits) {
  const std::size_t n = generation.size();
  std::vector<std::uint32_t> starts((std::size_t{1} << partition_bits) + 1, 0);
  auto part = [&](std::size_t i) {
    return partition_of(generation.at(i).identity, partition_bits);
  };
  for (std::size_t i = 0; i < n; ++i) ++starts[part(i) + 1];
  for (std::size_t i = 1; i < starts.size(); ++i) starts[i] += starts[i - 1];
  std::vector<std::uint32_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[starts[part(i)]++] = static_cast<std::uint32_t>(i);
  return order;
}

RunKeeper::RunKeeper(FileLayer& files, RunKeeperOptions options, telemetry::Registry& metrics)
    : files_(files),
      options_(std::move(options)),
      run_count_(metrics.gauge("trialwire_dedupe_runs", "Files of the identity index.")),
      run_bytes_(
          metrics.gauge("trialwire_dedupe_run_bytes", "Bytes of the identity index on disk.")),
      written_bytes_(metrics.counter("trialwire_dedupe_written_bytes_total",
                                     "Bytes written to files of the identity index.")),
      merges_(metrics.counter("trialwire_dedupe_merges_total",
                              "Merges of files of the identity index.")),
      failures_(metrics.counter("trialwire_dedupe_failures_total",
                                "Failed writes and merges of the identity index.")) {}

RunKeeper::~RunKeeper() {
  stop();
}

void RunKeeper::start() {
  TW_CHECK(!thread_.joinable());
  thread_ = std::jthread([this](const std::stop_token& stop) {
    ::pthread_setname_np(::pthread_self(), "identity-index");
    loop(stop);
  });
}

void RunKeeper::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  changed_.notify_all();
  thread_.join();
}

RunKeeper::View RunKeeper::view() const {
  std::lock_guard lock(mutex_);
  return {runs_, waiting_ != nullptr, failure_};
}

RunSet RunKeeper::current() const {
  std::lock_guard lock(mutex_);
  return *runs_;
}

void RunKeeper::publish(RunSet runs) {
  std::uint64_t bytes = 0;
  for (const auto& run : runs) bytes += (run->head().blocks + 1) * block_bytes;
  run_count_.set(static_cast<double>(runs.size()));
  run_bytes_.set(static_cast<double>(bytes));
  const std::uint64_t below = runs.empty() ? 1 : runs.front()->head().range.last + 1;
  auto shared = std::make_shared<const RunSet>(std::move(runs));
  {
    std::lock_guard lock(mutex_);
    runs_ = std::move(shared);
  }
  version_.fetch_add(1, std::memory_order_release);
  if (written_below_.exchange(below, std::memory_order_acq_rel) != below && on_written_) {
    on_written_();
  }
}

void RunKeeper::adopt(std::shared_ptr<const Run> run) {
  RunSet runs = current();
  runs.insert(runs.begin(), std::move(run));
  publish(std::move(runs));
}

// ---- writing a generation -----------------------------------------------------------------------

void RunKeeper::spill(const HotTable& generation, SequenceRange range, std::uint64_t era) {
  {
    std::lock_guard lock(mutex_);
    TW_CHECK(waiting_ == nullptr);
    waiting_ = &generation;
    waiting_range_ = range;
    waiting_era_ = era;
  }
  version_.fetch_add(1, std::memory_order_release);
  changed_.notify_all();
}

void RunKeeper::wait_spilled() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return waiting_ == nullptr || failure_.has_value(); });
}

void RunKeeper::wait_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    if (failure_) return true;
    if (waiting_ != nullptr || merging_) return false;
    return merge_failed_ || due_merge(*runs_).empty();
  });
}

std::uint64_t RunKeeper::forget_below(const RunSet& runs, std::int64_t newest_ms) const {
  std::uint64_t newer = 0;
  for (const auto& run : runs) {
    const RunHead& head = run->head();
    if (head.entries == 0) continue;
    if (newer >= options_.capacity || newest_ms - head.newest_ms > options_.window_ms) {
      return std::max(forgotten_below_, head.range.last + 1);
    }
    newer += head.entries;
  }
  return forgotten_below_;
}

Result<void> RunKeeper::write_generation(const HotTable& generation, SequenceRange range,
                                         std::uint64_t era) {
  constexpr std::size_t ahead = 8;
  RunSet runs = current();
  RunHead head{.journal = options_.journal,
               .range = range,
               .partition_bits = partition_bits_for(generation.size()),
               .forgotten_below = forgotten_below_};
  if (generation.size() > 0) {
    const std::int64_t newest_ms = generation.at(generation.size() - 1).received_ms();
    head.forgotten_below = forget_below(runs, newest_ms);
  }
  auto writer = RunWriter::create({files_, options_.directory}, head);
  if (!writer) return std::unexpected(writer.error());
  const auto order = run_order(generation, head.partition_bits);
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i + ahead < order.size()) generation.prefetch_at(order[i + ahead]);
    if (auto added = writer->add(generation.at(order[i])); !added) return added;
  }
  auto run = writer->finish(era);
  if (!run) return std::unexpected(run.error());
  written_bytes_.add(writer->bytes_written());
  forgotten_below_ = head.forgotten_below;
  RunSet kept{*run}, forgotten;
  for (auto& old : runs) {
    (old->head().range.last < forgotten_below_ ? forgotten : kept).push_back(std::move(old));
  }
  publish(std::move(kept));
  remove(forgotten);
  return {};
}

Result<void> RunKeeper::spill_now(const HotTable& generation, SequenceRange range,
                                  std::uint64_t era) {
  return write_generation(generation, range, era);
}

void RunKeeper::spill_if_waiting() {
  const HotTable* generation = nullptr;
  SequenceRange range;
  std::uint64_t era = 0;
  {
    std::lock_guard lock(mutex_);
    generation = waiting_;
    range = waiting_range_;
    era = waiting_era_;
  }
  if (generation == nullptr) return;
  auto written = write_generation(*generation, range, era);
  if (!written) {
    log_failure("writing the identity index failed; trying again", written.error());
    failures_.add();
  }
  {
    std::lock_guard lock(mutex_);
    failure_.reset();
    if (written) {
      waiting_ = nullptr;
    } else {
      failure_ = written.error().code;
    }
  }
  version_.fetch_add(1, std::memory_order_release);
  changed_.notify_all();
}

void RunKeeper::remove(const RunSet& runs) {
  for (const auto& run : runs) {
    // What stays behind is recognised as superseded or forgotten at the next start.
    if (auto removed = files_.remove(run->path()); !removed) {
      log_failure("removing a file of the identity index failed", removed.error());
    }
  }
}

// ---- merging ------------------------------------------------------------------------------------

unsigned RunKeeper::size_class(const Run& run) const {
  // A third more than it has, so that a few dropped entries do not put a run a class lower.
  std::uint64_t entries = run.head().entries + run.head().entries / 3;
  unsigned size = 0;
  for (; entries >= options_.generation * options_.fan_in; entries /= options_.fan_in) ++size;
  return size;
}

RunSet RunKeeper::due_merge(const RunSet& runs) const {
  if (runs.empty()) return {};
  const auto at = [&](std::size_t i) { return runs.begin() + static_cast<std::ptrdiff_t>(i); };
  const auto oldest_of = [&](std::size_t first, std::size_t end) {
    return RunSet(at(std::max(first, end - std::min(end, merge_inputs_max))), at(end));
  };
  // An era that is over becomes one run: a tag says the era, and that is then one look-up.
  const std::uint64_t newest_era = runs.front()->era();
  for (std::size_t first = 0, end = 0; first < runs.size(); first = end) {
    while (end < runs.size() && runs[end]->era() == runs[first]->era()) ++end;
    if (end - first > 1 && runs[first]->era() != newest_era) return oldest_of(first, end);
  }
  // Of the newest era: the newest runs that are of one class or smaller, when enough are of it.
  for (unsigned size = 0; size < 8; ++size) {
    std::size_t end = 0, equal = 0, first = 0;
    for (; end < runs.size() && runs[end]->era() == newest_era && size_class(*runs[end]) <= size;
         ++end) {
      if (size_class(*runs[end]) == size && equal++ == 0) first = end;
    }
    if (equal >= options_.fan_in) return oldest_of(first, end);
  }
  return {};
}

Result<void> RunKeeper::merge(const RunSet& inputs, const std::stop_token& stop) {
  std::vector<RunReader> readers;
  std::int64_t newest_ms = 0;
  std::uint64_t entries = 0;
  for (auto run = inputs.rbegin(); run != inputs.rend(); ++run) {
    auto reader = RunReader::open(files_, (*run)->path(), options_.journal);
    if (!reader) return std::unexpected(reader.error());
    readers.push_back(std::move(*reader));
    newest_ms = std::max(newest_ms, (*run)->head().newest_ms);
    entries += (*run)->head().entries;
  }
  const RunHead head{
      .journal = options_.journal,
      .range = {inputs.back()->head().range.first, inputs.front()->head().range.last},
      .partition_bits = partition_bits_for(entries),
      .forgotten_below = forgotten_below_};
  auto writer = RunWriter::create({files_, options_.directory}, head);
  if (!writer) return std::unexpected(writer.error());
  RunMerge merging(std::move(readers), head.partition_bits, newest_ms - options_.window_ms);
  for (unsigned step = 1;; ++step) {
    auto more = merging.step(*writer);
    if (!more) return std::unexpected(more.error());
    if (!*more) break;
    if (step % merge_ranges_at_once != 0) continue;
    if (stop.stop_requested()) return {};
    spill_if_waiting();
  }
  auto merged = writer->finish(inputs.front()->era());
  if (!merged) return std::unexpected(merged.error());
  written_bytes_.add(writer->bytes_written());
  merges_.add();
  replace(inputs, std::move(*merged));
  return {};
}

void RunKeeper::replace(const RunSet& inputs, std::shared_ptr<const Run> merged) {
  RunSet runs = current();
  auto from = std::ranges::find(runs, inputs.front());
  if (from != runs.end()) {
    auto to = from;
    while (to != runs.end() && merged->head().range.contains((*to)->head().range)) ++to;
    from = runs.erase(from, to);
    runs.insert(from, std::move(merged));
    publish(std::move(runs));
  } else {
    remove({std::move(merged)});  // all of it was forgotten meanwhile
  }
  remove(inputs);
}

void RunKeeper::loop(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    spill_if_waiting();
    RunSet inputs = merge_failed_ ? RunSet{} : due_merge(current());
    if (!inputs.empty()) {
      {
        std::lock_guard lock(mutex_);
        merging_ = true;
      }
      auto merged = merge(inputs, stop);
      if (!merged) {
        log_failure("merging the identity index failed; trying again later", merged.error());
        failures_.add();
      }
      {
        std::lock_guard lock(mutex_);
        merging_ = false;
        merge_failed_ = !merged;
      }
      changed_.notify_all();
      continue;
    }
    std::unique_lock lock(mutex_);
    auto work = [&] { return waiting_ != nullptr; };
    if (failure_) {
      changed_.wait_for(lock, stop, options_.retry, [] { return false; });
    } else if (merge_failed_) {
      if (!changed_.wait_for(lock, stop, 10 * options_.retry, work)) merge_failed_ = false;
    } else {
      changed_.wait(lock, stop, work);
    }
  }
}

}  // namespace trialwire::journal
