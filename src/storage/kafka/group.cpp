// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/group.hpp"

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <span>
#include <stop_token>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "pipeline/lane_metrics.hpp"
#include "storage/kafka/client_events.hpp"
#include "storage/kafka/errors.hpp"
#include "storage/kafka/partition.hpp"
#include "storage/kafka/partition_cursor.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::storage::kafka {
namespace {

using std::chrono::milliseconds;
using telemetry::LogLevel;

constexpr milliseconds poll_slice{100};
constexpr milliseconds heartbeat_max{3'000};
constexpr milliseconds tail_wait{1'000};  // for a broker to say where a partition ends

/// What the lanes of one number have, one after the other.
struct Slot {
  unsigned number = 0;
  bool taken = false;
  std::unique_ptr<pipeline::Sink> sink;  // null: none yet, or it was given up, which is for ever
  std::unique_ptr<pipeline::LaneMetrics> metrics;
};

/// The slot's sink, for as long as a lane has it.
class LentSink final : public pipeline::Sink {
 public:
  LentSink(Slot& slot, PartitionJournal& partition)
      : slot_(slot), sink_(*slot.sink), partition_(partition) {}
  ~LentSink() override {
    sink_.reset();
    if (given_up_) slot_.sink.reset();
  }
  LentSink(const LentSink&) = delete;
  LentSink& operator=(const LentSink&) = delete;

  std::string_view name() const noexcept override { return sink_.name(); }
  Result<journal::Cursor> durable_cursor(const Uuid& journal) override {
    return partition_cursor(sink_, journal, partition_.name(), partition_.limit());
  }
  Result<void> deliver(std::span<const journal::Record> records,
                       const journal::Cursor& cursor) override {
    return sink_.deliver(records, cursor);
  }
  void reset() noexcept override { sink_.reset(); }
  bool rolled_back() const noexcept override { return sink_.rolled_back(); }
  void give_up() noexcept override {
    given_up_ = true;
    sink_.give_up();
  }

 private:
  Slot& slot_;
  pipeline::Sink& sink_;
  PartitionJournal& partition_;
  std::atomic<bool> given_up_ = false;
};

/// A partition of this member, and its lane once that has begun.
struct Given {
  explicit Given(PartitionJournal::Source source) : journal(std::move(source)) {}
  ~Given() {
    lane.reset();
    if (slot == nullptr) return;
    slot->taken = false;
  }
  Given(const Given&) = delete;
  Given& operator=(const Given&) = delete;

  PartitionJournal journal;
  Slot* slot = nullptr;  // with the lane
  std::unique_ptr<pipeline::Lane> lane;
};

/// Together: it takes as long as the slowest.
void stop_all(std::vector<std::unique_ptr<Given>>& gone) {
  std::vector<std::jthread> stopping;
  for (auto& one : gone) {
    if (one->lane) stopping.emplace_back([lane = one->lane.get()] { lane->stop(); });
  }
}

std::vector<PartitionName> names_of(const rd_kafka_topic_partition_list_t& list) {
  std::vector<PartitionName> names;
  for (int i = 0; i < list.cnt; ++i) {
    names.push_back({list.elems[i].topic, list.elems[i].partition});
  }
  return names;
}

}  // namespace

struct GroupMember::State final : private ClientEvents {
  State(GroupOptions from, MakeSink make, telemetry::Registry& registry)
      : options(std::move(from)),
        make_sink(std::move(make)),
        metrics(registry),
        partitions(registry.gauge("trialwire_kafka_group_partitions",
                                  "Partitions that the group gave to this process.")),
        rebalances(registry.counter("trialwire_kafka_group_rebalances_total",
                                    "Times that partitions were given or taken.")) {}

  Result<void> open();
  Result<void> subscribe();
  bool learn_cluster(const std::stop_token& stop);
  void run(const std::stop_token& stop);
  void follow_tails(const std::stop_token& stop);
  void start_lanes();
  Slot& free_slot();
  void give(rd_kafka_topic_partition_list_t* list);
  void take(rd_kafka_topic_partition_list_t* list);
  journal::RecordKind kind_of(const std::string& topic) const;
  static void on_rebalance(rd_kafka_t* handle, rd_kafka_resp_err_t what,
                           rd_kafka_topic_partition_list_t* list, void* self);
  void on_trouble(rd_kafka_resp_err_t error, std::string text) noexcept override;

  GroupOptions options;
  MakeSink make_sink;
  telemetry::Registry& metrics;
  telemetry::Gauge& partitions;
  telemetry::Counter& rebalances;
  std::string cluster;       // its id; known before the first lane is made
  Handle handle;             // before what is given: it outlives their queues
  mutable std::mutex mutex;  // of what is given and the trouble; the member's thread changes them
  std::deque<Slot> slots;    // before `given`, which is in them
  std::deque<std::unique_ptr<Given>> given;
  std::string trouble;
  std::atomic<bool> joined = false;
  std::jthread thread;
  std::jthread tails;
};

Result<void> GroupMember::State::open() {
  const Properties own{
      {"group.id", options.group},
      {"partition.assignment.strategy", "cooperative-sticky"},
      {"enable.auto.commit", "false"},
      {"enable.auto.offset.store", "false"},
      {"isolation.level", "read_committed"},
      {"auto.offset.reset", "earliest"},  // where retention has taken what a lane reads
      {"session.timeout.ms", fmt::format("{}", options.session_timeout.count())},
      {"heartbeat.interval.ms",
       fmt::format("{}", std::min(options.session_timeout / 3, heartbeat_max).count())},
      {"max.poll.interval.ms", fmt::format("{}", options.poll_interval.count())},
      {"queued.max.messages.kbytes", fmt::format("{}", options.partition_bytes / 1024)},
      {"topic.metadata.refresh.interval.ms", "30000"},
  };
  auto config = make_config(options.client, own);
  if (!config) return std::unexpected(config.error());
  listen(config->get());
  rd_kafka_conf_set_rebalance_cb(config->get(), on_rebalance);
  auto made = make_handle(RD_KAFKA_CONSUMER, std::move(*config));
  if (!made) return std::unexpected(made.error());
  handle = std::move(*made);
  rd_kafka_poll_set_consumer(handle.get());
  return {};
}

Result<void> GroupMember::State::subscribe() {
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(8);
  for (const KindTopic& topic : options.topics) {
    if (rd_kafka_topic_partition_list_find(list, topic.topic.c_str(), RD_KAFKA_PARTITION_UA)) {
      continue;
    }
    rd_kafka_topic_partition_list_add(list, topic.topic.c_str(), RD_KAFKA_PARTITION_UA);
  }
  rd_kafka_resp_err_t error = rd_kafka_subscribe(handle.get(), list);
  rd_kafka_topic_partition_list_destroy(list);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return std::unexpected(error_of(error, "subscribing"));
}

journal::RecordKind GroupMember::State::kind_of(const std::string& topic) const {
  auto found = std::ranges::find(options.topics, topic, &KindTopic::topic);
  return found == options.topics.end() ? journal::RecordKind::epro_report : found->kind;
}

/// Queues are set apart before anything is fetched: a lane reads its own. Until it has sought its
/// place, nothing is.
void GroupMember::State::give(rd_kafka_topic_partition_list_t* list) {
  for (const PartitionName& name : names_of(*list)) {
    rd_kafka_queue_t* queue =
        rd_kafka_queue_get_partition(handle.get(), name.topic.c_str(), name.number);
    rd_kafka_queue_forward(queue, nullptr);
    rd_kafka_queue_destroy(queue);
    auto one = std::make_unique<Given>(PartitionJournal::Source{
        handle.get(), name, partition_id(cluster, name), kind_of(name.topic)});
    std::lock_guard lock(mutex);
    given.push_back(std::move(one));
  }
  for (int i = 0; i < list->cnt; ++i) list->elems[i].offset = RD_KAFKA_OFFSET_END;
}

/// When this returns, nothing more of them is stored by this process.
void GroupMember::State::take(rd_kafka_topic_partition_list_t* list) {
  std::vector<std::unique_ptr<Given>> gone;
  {
    std::lock_guard lock(mutex);
    for (const PartitionName& name : names_of(*list)) {
      auto found = std::ranges::find_if(given, [&](const std::unique_ptr<Given>& one) {
        return one->journal.name().topic == name.topic && one->journal.name().number == name.number;
      });
      if (found == given.end()) continue;
      gone.push_back(std::move(*found));
      given.erase(found);
    }
  }
  stop_all(gone);
}

void GroupMember::State::on_rebalance(rd_kafka_t* handle, rd_kafka_resp_err_t what,
                                      rd_kafka_topic_partition_list_t* list, void* self) {
  auto* state = static_cast<State*>(&of(self));
  const bool assign = what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
  const bool lost = rd_kafka_assignment_lost(handle) != 0;
  assign ? state->give(list) : state->take(list);
  rd_kafka_error_t* error = assign ? rd_kafka_incremental_assign(handle, list)
                                   : rd_kafka_incremental_unassign(handle, list);
  state->joined = true;
  state->rebalances.add();
  state->partitions.set(static_cast<double>(state->given.size()));
  telemetry::log(lost ? LogLevel::warn : LogLevel::info, "kafka",
                 assign ? "the group gives partitions"
                 : lost ? "the group has given partitions to others"
                        : "the group takes partitions",
                 {{"partitions", std::uint64_t{static_cast<unsigned>(list->cnt)}},
                  {"now", std::uint64_t{state->given.size()}}});
  if (error == nullptr) return;
  telemetry::log(LogLevel::error, "kafka", "the assignment failed",
                 {{"error", std::string_view(rd_kafka_error_string(error))}});
  rd_kafka_error_destroy(error);
}

void GroupMember::State::on_trouble(rd_kafka_resp_err_t error, std::string text) noexcept {
  std::lock_guard lock(mutex);
  trouble = fmt::format("{} ({})", text, rd_kafka_err2name(error));
}

Slot& GroupMember::State::free_slot() {
  const auto place =
      static_cast<std::size_t>(std::ranges::find(slots, false, &Slot::taken) - slots.begin());
  Slot& slot = place < slots.size() ? slots[place] : slots.emplace_back();
  slot.number = static_cast<unsigned>(place);
  if (!slot.sink) slot.sink = make_sink();
  if (!slot.metrics) {
    slot.metrics = std::make_unique<pipeline::LaneMetrics>(metrics, slot.sink->name(), slot.number,
                                                           pipeline::LaneSource::partition);
  }
  return slot;
}

/// They ask their database on their own threads: the group is told meanwhile that this member is
/// there.
void GroupMember::State::start_lanes() {
  for (auto& one : given) {
    if (one->lane) continue;
    Slot& slot = free_slot();
    pipeline::LaneOptions lane_options = options.lane;
    lane_options.lane = slot.number;
    lane_options.source = one->journal.name().text();
    lane_options.asks_at_start = false;
    lane_options.delivers_alone = false;
    lane_options.metrics = slot.metrics.get();
    auto lane =
        std::make_unique<pipeline::Lane>(std::move(lane_options), one->journal,
                                         std::make_unique<LentSink>(slot, one->journal), metrics);
    lane->hold({one->journal.id(), 1});
    TW_CHECK(lane->start().has_value());
    std::lock_guard lock(mutex);
    slot.taken = true;
    one->slot = &slot;
    one->lane = std::move(lane);
  }
}

/// Partitions are named by it. False: stopped before a broker answered.
bool GroupMember::State::learn_cluster(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (char* id = rd_kafka_clusterid(handle.get(), static_cast<int>(poll_slice.count()))) {
      cluster = id;
      rd_kafka_mem_free(handle.get(), id);
      return true;
    }
    // For what the client has to say of its errors; there is nothing to consume yet.
    rd_kafka_message_t* none = rd_kafka_consumer_poll(handle.get(), 0);
    if (none != nullptr) rd_kafka_message_destroy(none);
  }
  return false;
}

void GroupMember::State::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "kafka-group");
  if (!learn_cluster(stop)) return;
  if (auto subscribed = subscribe(); !subscribed) {
    telemetry::log(LogLevel::error, "kafka", "the group cannot be joined",
                   {{"error", std::string_view(subscribed.error().text)}});
    return;
  }
  while (!stop.stop_requested()) {
    rd_kafka_message_t* message =
        rd_kafka_consumer_poll(handle.get(), static_cast<int>(poll_slice.count()));
    if (message != nullptr) {
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        on_trouble(message->err, rd_kafka_message_errstr(message));
      }
      rd_kafka_message_destroy(message);
    }
    start_lanes();
  }
  rd_kafka_consumer_close(handle.get());  // takes what was given, by the callback
}

/// On a thread of its own: brokers that are away answer nothing for a while. What they do not say
/// is asked again in the next round.
void GroupMember::State::follow_tails(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "kafka-tails");
  std::mutex sleep_mutex;
  std::condition_variable_any sleeper;
  while (!stop.stop_requested()) {
    std::vector<std::shared_ptr<PartitionTail>> all;
    {
      std::lock_guard lock(mutex);
      for (const auto& one : given) all.push_back(one->journal.tail());
    }
    for (const auto& tail : all) {
      if (stop.stop_requested()) return;
      static_cast<void>(ask_tail(handle.get(), *tail, tail_wait));
    }
    std::unique_lock lock(sleep_mutex);
    sleeper.wait_for(lock, stop, options.tail_interval, [] { return false; });
  }
}

GroupMember::GroupMember(GroupOptions options, MakeSink make_sink, telemetry::Registry& metrics)
    : state_(std::make_unique<State>(std::move(options), std::move(make_sink), metrics)) {}

GroupMember::~GroupMember() {
  stop();
}

Result<void> GroupMember::start() {
  if (auto opened = state_->open(); !opened) return opened;
  state_->thread =
      std::jthread([state = state_.get()](const std::stop_token& stop) { state->run(stop); });
  state_->tails = std::jthread(
      [state = state_.get()](const std::stop_token& stop) { state->follow_tails(stop); });
  return {};
}

void GroupMember::stop() {
  if (!state_->thread.joinable()) return;
  state_->tails.request_stop();
  state_->thread.request_stop();
  state_->tails.join();
  state_->thread.join();
  // Closing has taken what was given; where it did not, that goes before the handle. Which goes
  // here: until it has, it may call back.
  std::deque<std::unique_ptr<Given>> left;
  {
    std::lock_guard lock(state_->mutex);
    left.swap(state_->given);
  }
  left.clear();
  state_->handle.reset();
}

GroupMember::Standing GroupMember::standing() const {
  std::lock_guard lock(state_->mutex);
  Standing standing{
      .joined = state_->joined, .partitions = state_->given.size(), .trouble = state_->trouble};
  for (const auto& one : state_->given) {
    if (one->lane && standing.lane_trouble.empty()) standing.lane_trouble = one->lane->trouble();
    const std::uint64_t at = one->lane ? one->lane->next_sequence() : 0;
    if (at == 0) continue;
    ++standing.lanes;
    standing.stored += at - 1;
    const std::uint64_t end = one->journal.end().next_sequence;
    if (end > at) standing.lag += end - at;
  }
  return standing;
}

}  // namespace trialwire::storage::kafka
