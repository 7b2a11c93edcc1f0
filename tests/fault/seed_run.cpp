// SPDX-License-Identifier: Apache-2.0
#include "fault/seed_run.hpp"

#include <optional>
#include <set>
#include <thread>

#include "fault/bell.hpp"
#include "fault/client.hpp"
#include "fault/consumer.hpp"
#include "fault/ledger.hpp"
#include "fault/model_sink.hpp"
#include "fault/plan.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::fault {

using journal::Journal;

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 20s;  // then it hangs
constexpr std::uint64_t starts_max = 200;
constexpr std::uint64_t segments_min = 3;

class SeedRun {
 public:
  explicit SeedRun(std::uint64_t seed)
      : plan_(plan_for(seed)),
        disk_(plan_.disk),
        ledger_(seed, plan_.dedupe, verdict_),
        sink_(disk_, ledger_, verdict_),
        random_(seed + 17) {
    disk_.on_remove([this](const std::filesystem::path& path) { check_removal(path); });
  }

  SeedResult run();

 private:
  enum class End : std::uint8_t { power_cut, kill, stop };

  bool start_up();
  bool open_journal();
  void check_recovered();
  void schedule_faults();
  void work();
  void rounds(std::uint64_t count);
  void round_on_one_thread();
  void rounds_on_threads(std::uint64_t count);
  void wait_for_answers();
  void wait_until_taken();
  void fill_disk_for_a_while();
  void tear_down(End end);
  void excuse_refusals();
  void drain_and_finish();
  void damage_something();
  bool going_on() const { return !verdict_.failed() && !fatal_ && disk_.powered(); }
  void check_removal(const std::filesystem::path& path);
  void count_segments();
  std::uint64_t segments();

  Plan plan_;
  Verdict verdict_;
  support::FaultyFiles disk_;
  Ledger ledger_;
  ModelSink sink_;
  support::Random random_;
  Bell bell_;
  SeedCounts counts_;
  std::atomic<bool> fatal_ = false;
  std::string damaged_;  // by which bit; empty: not yet
  std::uint32_t run_ = 0;
  std::uint64_t errors_before_ = 0;
  std::optional<Uuid> id_;
  std::optional<SipKey> identity_key_;
  std::mutex segments_mutex_;
  std::set<std::string> segments_;

  // Of the present start, in the order of their making.
  std::unique_ptr<telemetry::Registry> metrics_;
  std::unique_ptr<Journal> journal_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::unique_ptr<pipeline::Lane> lane_;
};

// --- starting ------------------------------------------------------------------------------------

bool SeedRun::open_journal() {
  metrics_ = std::make_unique<telemetry::Registry>();
  auto opened = Journal::open(plan_.journal, disk_, *metrics_);
  if (!opened) {
    // Nothing but power cuts, kills and failing writes ever happened to this directory.
    if (disk_.powered()) verdict_.fail("refuses to start: {}", opened.error().text);
    return false;
  }
  journal_ = std::move(*opened);
  return true;
}

bool SeedRun::start_up() {
  ++run_;
  ++counts_.starts;
  fatal_ = false;
  // One start in four is itself interrupted.
  if (random_.one_in(4)) disk_.power_cut_in(random_.between(1, 12));
  if (!open_journal()) return false;
  check_recovered();
  if (verdict_.failed() || !disk_.powered()) return false;
  clients_.clear();
  for (std::uint32_t shard = 0; shard < plan_.shards; ++shard) {
    clients_.push_back(std::make_unique<Client>(plan_, Client::Place{shard, run_}, ledger_, bell_,
                                                random_.fork()));
    clients_.back()->attach(*journal_);
  }
  const SipKey key = clients_[0]->appender().identity_key();
  if (identity_key_ && (key.k0 != identity_key_->k0 || key.k1 != identity_key_->k1)) {
    verdict_.fail("the key of identities changed over a restart");
  }
  if (ledger_.totals().acknowledged > 0) identity_key_ = key;
  journal_->start([this](const Error&) {
    fatal_ = true;
    bell_.ring();
  });
  sink_.pause(false);
  lane_ = make_lane(*journal_, std::make_unique<LaneSink>(sink_, disk_, verdict_), *metrics_);
  if (auto started = lane_->start(); !started && disk_.powered()) {
    verdict_.fail("the sink's cursor is refused: {}", started.error().text);
  }
  return true;
}

void SeedRun::check_recovered() {
  Ledger::Found found;
  found.begin = journal_->begin().next_sequence;
  found.end = journal_->end().next_sequence;
  found.journal = journal_->begin().journal;
  if (ledger_.totals().acknowledged > 0 && id_ && *id_ != found.journal) {
    verdict_.fail("the journal's id changed over a restart");
  }
  id_ = found.journal;
  if (auto loaded = sink_.load(found.journal); !loaded) {
    if (disk_.powered()) verdict_.fail("the model of the sink: {}", loaded.error().text);
    return;
  }
  auto reader = journal_->read(journal_->begin());
  while (reader && (*reader)->position().next_sequence < found.end) {
    auto batch = (*reader)->next(0ms, {});
    if (!batch && !damaged_.empty() && batch.error().text.contains("/journal/")) {
      ++counts_.damage_refused;
      return;
    }
    if (!batch || (*batch)->records.empty()) {
      if (disk_.powered()) {
        verdict_.fail("cannot read what was recovered at {} of {}: {}",
                      (*reader)->position().next_sequence, found.end,
                      batch ? "nothing comes" : batch.error().text);
      }
      return;
    }
    for (const journal::Record& record : (*batch)->records) {
      const auto known = ledger_.recognise(record, found.journal);
      if (!known) return;
      found.records.push_back(*known);
    }
  }
  if (!reader) {
    if (disk_.powered()) verdict_.fail("cannot read from the beginning: {}", reader.error().text);
    return;
  }
  found.rows = sink_.rows();
  found.sink_cursor = sink_.cursor();
  ledger_.check(found);
  counts_.records = found.end - 1;
}

// --- working -------------------------------------------------------------------------------------

void SeedRun::schedule_faults() {
  switch (random_.below(6)) {
    case 0:
      disk_.write_error_in(random_.between(1, 40));
      break;
    case 1:
      disk_.sync_error_in(random_.between(1, 40));
      break;
    case 2:
    case 3:
      disk_.power_cut_in(random_.between(1, 150));
      break;
    default:
      break;
  }
}

void SeedRun::work() {
  schedule_faults();
  if (plan_.disk_fills && run_ == 2) fill_disk_for_a_while();
  const std::uint64_t count = random_.between(10, 40);
  if (plan_.threads) {
    rounds_on_threads(count);
  } else {
    rounds(count);
  }
  if (fatal_ && disk_.powered() && clients_[0]->appender().admit(1)) {
    verdict_.fail("takes requests after a failed write or sync");
  }
}

void SeedRun::rounds(std::uint64_t count) {
  for (std::uint64_t n = 0; n < count && going_on(); ++n) {
    sink_.pause(random_.percent(plan_.sink_pause_percent));
    const std::uint64_t before = ledger_.totals().stored_answers;
    for (auto& client : clients_) client->turn();
    if (random_.one_in(8)) continue;  // the next round comes while this one is in flight
    wait_for_answers();
    if (ledger_.totals().stored_answers > before) ++counts_.batches;
  }
}

void SeedRun::rounds_on_threads(std::uint64_t count) {
  const std::uint64_t before = ledger_.totals().stored_answers;
  {
    std::vector<std::jthread> threads;
    for (auto& client : clients_) {
      threads.emplace_back([this, count, &client = *client] {
        for (std::uint64_t n = 0; n < count && going_on(); ++n) {
          client.turn();
          std::uint64_t rings = bell_.rings();
          const auto deadline = std::chrono::steady_clock::now() + patience;
          for (; client.unanswered() > 0 && going_on(); rings = bell_.rings()) {
            client.take_answers();
            if (client.unanswered() > 0) bell_.wait_beyond(rings, 5ms);
            if (std::chrono::steady_clock::now() > deadline) verdict_.fail("a shard hangs");
          }
        }
      });
    }
  }
  // At least: a round of any client waits for a batch, and one batch may answer all of them.
  if (ledger_.totals().stored_answers > before) counts_.batches += count / 2;
}

void SeedRun::wait_for_answers() {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (going_on()) {
    const std::uint64_t rings = bell_.rings();
    std::size_t unanswered = 0;
    for (auto& client : clients_) {
      client->take_answers();
      unanswered += client->unanswered();
    }
    if (unanswered == 0) return;
    bell_.wait_beyond(rings, 5ms);
    if (std::chrono::steady_clock::now() > deadline) {
      verdict_.fail("hangs: {} groups are not answered", unanswered);
    }
  }
}

void SeedRun::wait_until_taken() {
  sink_.pause(false);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (going_on() && !clients_[0]->appender().admit(1)) {
    bell_.wait_beyond(bell_.rings(), 1ms);
    if (std::chrono::steady_clock::now() > deadline) {
      verdict_.fail("takes nothing, though there is space again");
    }
  }
}

void SeedRun::fill_disk_for_a_while() {
  std::uint64_t used = 0;
  for (const auto& [name, bytes] : disk_.snapshot()) used += bytes.size();
  disk_.set_capacity(used + random_.below(plan_.journal.segment_bytes));
  rounds(20);
  disk_.set_capacity(1ULL << 40U);
  wait_until_taken();
}

// --- ending --------------------------------------------------------------------------------------

void SeedRun::excuse_refusals() {
  const auto injected = disk_.injected();
  const std::uint64_t errors = injected.write_errors + injected.sync_errors + injected.disk_full;
  const bool full = plan_.journal.bytes_max < budget_unbounded;
  if (errors > errors_before_ || full) ledger_.excuse(run_);
  errors_before_ = errors;
}

void SeedRun::tear_down(End end) {
  if (end == End::power_cut) disk_.power_cut();
  if (end == End::kill) disk_.kill();
  if (journal_) count_segments();
  lane_.reset();
  if (journal_) journal_->stop();
  for (auto& client : clients_) {
    client->take_answers();
    counts_.refused += client->refused();
    if (end == End::stop && !fatal_ && disk_.powered() && client->unanswered() > 0) {
      verdict_.fail("stopped without an answer to {} groups", client->unanswered());
    }
  }
  excuse_refusals();
  clients_.clear();
  journal_.reset();
  metrics_.reset();
  disk_.restart();
}

void SeedRun::count_segments() {
  std::scoped_lock lock(segments_mutex_);
  for (const std::string& path : disk_.paths()) {
    if (segments_.contains(path) || path.starts_with("/sink")) continue;
    const auto bytes = disk_.contents(path);
    if (bytes && !ledger_.acknowledged_keys_in(*bytes).empty()) segments_.insert(path);
  }
}

std::uint64_t SeedRun::segments() {
  std::scoped_lock lock(segments_mutex_);
  return segments_.size();
}

void SeedRun::check_removal(const std::filesystem::path& path) {
  if (path.parent_path() != plan_.journal.directory) return;
  const auto bytes = disk_.contents(path);
  if (!bytes) return;
  const auto keys = ledger_.acknowledged_keys_in(*bytes);
  if (keys.empty()) return;
  std::scoped_lock lock(segments_mutex_);
  segments_.insert(path.string());
  ++counts_.deleted;
  for (const std::uint64_t key : keys) {
    if (sink_.has(key)) continue;
    verdict_.fail("{} is deleted, but the sink has no row of key {}", path.string(), key);
  }
}

void SeedRun::drain_and_finish() {
  sink_.pause(false);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (going_on() && sink_.cursor() < journal_->end().next_sequence) {
    bell_.wait_beyond(bell_.rings(), 1ms);
    if (std::chrono::steady_clock::now() > deadline) verdict_.fail("the sink never gets there");
  }
}

/// One bit, anywhere. Then the journal refuses and names a file, or a reader does, or nothing that
/// was acknowledged is missing or changed: never in between.
void SeedRun::damage_something() {
  std::vector<std::string> paths;
  for (const std::string& path : disk_.paths()) {
    if (path.starts_with("/journal/") && !disk_.contents(path)->empty()) paths.push_back(path);
  }
  const std::string path = paths[random_.below(paths.size())];
  const auto bytes = *disk_.contents(path);
  std::size_t used = bytes.size();
  while (used > 1 && bytes[used - 1] == std::byte{0}) --used;
  const std::uint64_t bit = random_.below(used * 8);
  disk_.flip_bit(path, bit);
  const std::string where = fmt::format("after bit {} of {} was flipped: ", bit, path);
  auto opened = Journal::open(plan_.journal, disk_, *metrics_);
  if (!opened) {
    ++counts_.damage_refused;
    if (!opened.error().text.contains("/journal/")) {
      verdict_.fail("{}refused, but no file is named: {}", where, opened.error().text);
    }
    return;
  }
  journal_ = std::move(*opened);
  damaged_ = where;
  check_recovered();
  journal_.reset();
}

SeedResult SeedRun::run() {
  while (!verdict_.failed()) {
    const auto injected = disk_.injected();
    const bool enough = injected.power_cuts + counts_.kills >= plan_.crashes &&
                        counts_.batches >= plan_.batches && segments() >= segments_min;
    if (counts_.starts > starts_max) {
      verdict_.fail("gets nowhere: {} batches and {} segments after {} starts", counts_.batches,
                    segments(), counts_.starts);
    }
    if (!start_up()) {
      tear_down(End::power_cut);
      continue;
    }
    if (enough) {
      // The last start works undisturbed: what was survived must not have left a trace.
      disk_.clear_faults();
      rounds(5);
      wait_for_answers();
      drain_and_finish();
      tear_down(End::stop);
      ++counts_.clean_stops;
      break;
    }
    work();
    const auto end = static_cast<End>(random_.below(3));
    if (fatal_) ++counts_.fatal;
    if (end == End::kill) ++counts_.kills;
    if (end == End::stop) ++counts_.clean_stops;
    tear_down(end);
  }
  if (!verdict_.failed() && open_journal()) check_recovered();
  journal_.reset();
  if (!verdict_.failed() && random_.one_in(2)) damage_something();
  counts_.power_cuts = disk_.injected().power_cuts;
  const Ledger::Totals totals = ledger_.totals();
  counts_.acknowledged = totals.acknowledged;
  counts_.duplicates = totals.duplicates;
  counts_.conflicts = totals.conflicts;
  counts_.segments = segments();
  return {verdict_.failed() ? damaged_ + verdict_.text() : "", counts_};
}

}  // namespace

SeedResult run_seed(std::uint64_t seed) {
  return SeedRun(seed).run();
}

}  // namespace trialwire::fault
