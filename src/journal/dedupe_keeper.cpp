// SPDX-License-Identifier: Apache-2.0
#include "journal/dedupe_keeper.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "telemetry/log.hpp"

namespace trialwire::journal {
namespace {

constexpr std::size_t merge_inputs_max = 16;       // bounds the memory of a merge
constexpr std::size_t merge_check_entries = 4096;  // between looks at what waits

void log_failure(std::string_view what, const Error& error) {
  telemetry::log(telemetry::LogLevel::error, "journal", what,
                 {{"code", traits(error.code).label}, {"detail", std::string_view(error.text)}});
}

bool run_less(const DedupeEntry& a, const DedupeEntry& b) noexcept {
  return a.identity == b.identity ? a.sequence > b.sequence : identity_less(a.identity, b.identity);
}

}  // namespace

std::vector<std::uint32_t> run_order(const HotTable& generation) {
  const std::size_t n = generation.size();
  std::vector<std::uint32_t> starts(n + 1, 0);
  for (std::size_t i = 0; i < n; ++i) ++starts[scale_to(generation.at(i).identity.high, n) + 1];
  for (std::size_t i = 1; i <= n; ++i) starts[i] += starts[i - 1];
  std::vector<std::uint32_t> order(n);
  for (std::size_t i = 0; i < n; ++i) {
    order[starts[scale_to(generation.at(i).identity.high, n)]++] = static_cast<std::uint32_t>(i);
  }
  for (std::size_t i = 1; i < n; ++i) {
    const std::uint32_t moving = order[i];
    std::size_t at = i;
    for (; at > 0 && run_less(generation.at(moving), generation.at(order[at - 1])); --at) {
      order[at] = order[at - 1];
    }
    order[at] = moving;
  }
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
  thread_ = std::jthread([this](const std::stop_token& stop) { loop(stop); });
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
  auto shared = std::make_shared<const RunSet>(std::move(runs));
  {
    std::lock_guard lock(mutex_);
    runs_ = std::move(shared);
  }
  version_.fetch_add(1, std::memory_order_release);
}

void RunKeeper::adopt(std::shared_ptr<const Run> run) {
  RunSet runs = current();
  runs.insert(runs.begin(), std::move(run));
  publish(std::move(runs));
}

// ---- writing a generation -----------------------------------------------------------------------

void RunKeeper::spill(const HotTable& generation, SequenceRange range) {
  {
    std::lock_guard lock(mutex_);
    TW_CHECK(waiting_ == nullptr);
    waiting_ = &generation;
    waiting_range_ = range;
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
  // A quarter more than the tag table remembers on average, for the lines that are less crowded.
  const std::uint64_t kept = options_.capacity + options_.capacity / 4;
  std::uint64_t newer = 0;
  for (const auto& run : runs) {
    const RunHead& head = run->head();
    if (newer >= kept || newest_ms - head.newest_ms > options_.window_ms) {
      return std::max(forgotten_below_, head.range.last + 1);
    }
    newer += head.entries;
  }
  return forgotten_below_;
}

Result<void> RunKeeper::write_generation(const HotTable& generation, SequenceRange range) {
  RunSet runs = current();
  RunHead head{.journal = options_.journal, .range = range};
  if (generation.size() > 0) {
    const std::int64_t newest_ms = generation.at(generation.size() - 1).received_ms();
    head.forgotten_below = forget_below(runs, newest_ms);
  } else {
    head.forgotten_below = forgotten_below_;
  }
  auto writer = RunWriter::create(files_, options_.directory, head, options_.direct);
  if (!writer) return std::unexpected(writer.error());
  const Hash128* last = nullptr;
  for (std::uint32_t i : run_order(generation)) {
    const DedupeEntry& entry = generation.at(i);
    if (last != nullptr && *last == entry.identity) continue;
    if (auto added = writer->add(entry); !added) return added;
    last = &entry.identity;
  }
  auto run = writer->finish();
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

Result<void> RunKeeper::spill_now(const HotTable& generation, SequenceRange range) {
  return write_generation(generation, range);
}

void RunKeeper::spill_if_waiting() {
  const HotTable* generation = nullptr;
  SequenceRange range;
  {
    std::lock_guard lock(mutex_);
    generation = waiting_;
    range = waiting_range_;
  }
  if (generation == nullptr) return;
  auto written = write_generation(*generation, range);
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
  for (unsigned size = 0; size < 8; ++size) {
    // Among the newest runs that are of this class or smaller: enough of this class?
    std::size_t end = 0, equal = 0, first = 0;
    for (; end < runs.size() && size_class(*runs[end]) <= size; ++end) {
      if (size_class(*runs[end]) != size) continue;
      if (equal++ == 0) first = end;
    }
    if (equal < options_.fan_in) continue;
    if (end - first > merge_inputs_max) first = end - merge_inputs_max;
    return {runs.begin() + static_cast<std::ptrdiff_t>(first),
            runs.begin() + static_cast<std::ptrdiff_t>(end)};
  }
  return {};
}

namespace {

/// One input of a merge: its current entry.
struct MergeInput {
  RunReader reader;
  std::span<const DedupeEntry> left;
  Result<bool> advance() {
    if (!left.empty()) left = left.subspan(1);
    if (left.empty()) {
      auto block = reader.next_block();
      if (!block) return std::unexpected(block.error());
      left = *block;
    }
    return !left.empty();
  }
};

/// Index of the input with the smallest entry, the newest among equals; -1 at the end.
int smallest(const std::vector<MergeInput>& inputs) {
  int best = -1;
  for (int i = 0; i < static_cast<int>(inputs.size()); ++i) {
    if (inputs[i].left.empty()) continue;
    if (best < 0 || run_less(inputs[i].left[0], inputs[best].left[0])) best = i;
  }
  return best;
}

}  // namespace

Result<void> RunKeeper::merge(const RunSet& inputs, const std::stop_token& stop) {
  std::vector<MergeInput> open;
  std::int64_t newest_ms = 0;
  for (const auto& run : inputs) {
    auto reader = RunReader::open(files_, run->path(), options_.journal);
    if (!reader) return std::unexpected(reader.error());
    open.push_back({std::move(*reader), {}});
    if (auto first = open.back().advance(); !first) return std::unexpected(first.error());
    newest_ms = std::max(newest_ms, run->head().newest_ms);
  }
  RunHead head{.journal = options_.journal,
               .range = {inputs.back()->head().range.first, inputs.front()->head().range.last},
               .forgotten_below = forgotten_below_};
  auto writer = RunWriter::create(files_, options_.directory, head, options_.direct);
  if (!writer) return std::unexpected(writer.error());
  Hash128 last;
  std::size_t until_check = merge_check_entries;
  for (int i = smallest(open); i >= 0; i = smallest(open)) {
    const DedupeEntry& entry = open[i].left[0];
    const bool expired = newest_ms - entry.received_ms() > options_.window_ms;
    if (entry.identity != last && !expired) {
      if (auto added = writer->add(entry); !added) return added;
    }
    last = entry.identity;
    if (auto more = open[i].advance(); !more) return std::unexpected(more.error());
    if (--until_check == 0) {
      until_check = merge_check_entries;
      if (stop.stop_requested()) return {};
      spill_if_waiting();
    }
  }
  auto merged = writer->finish();
  if (!merged) return std::unexpected(merged.error());
  written_bytes_.add(writer->bytes_written());
  merges_.add();
  RunSet runs = current();
  auto from = std::ranges::find(runs, inputs.front());
  if (from != runs.end()) {  // else all of it was forgotten meanwhile
    auto to = from;
    while (to != runs.end() && head.range.contains((*to)->head().range)) ++to;
    from = runs.erase(from, to);
    runs.insert(from, *merged);
    publish(std::move(runs));
  } else {
    remove({*merged});
  }
  remove(inputs);
  return {};
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
