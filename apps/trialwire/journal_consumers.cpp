// SPDX-License-Identifier: Apache-2.0
#include "journal_consumers.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "journal/file_layer.hpp"
#include "named_sink.hpp"
#include "pipeline/sink_lanes.hpp"
#include "serve_kafka.hpp"
#include "serve_options.hpp"

namespace trialwire {
namespace {

using journal::Consumers;
namespace fs = std::filesystem;

struct Asking {
  storage::StoreOptions store;
  fs::path data_dir;
  storage::Access access = storage::Access::read;
  std::string_view lanes_of;  // what the lanes' files are called; empty: as the store
};

/// All of this sink: those of this journal that a lane goes by, and, where there is none, those of
/// other journals.
void add_cursors(Consumers& to, const std::vector<storage::StoredCursor>& stored,
                 std::string_view sink, const Uuid& journal, unsigned lanes) {
  const std::string of = journal.text();
  bool known = false;
  for (const storage::StoredCursor& cursor : stored) {
    if (cursor.sink != sink || cursor.journal != of) continue;
    known = true;
    if (cursor.lane >= lanes) continue;
    to.cursors.push_back({fmt::format("{}/{}", sink, cursor.lane), cursor.next_sequence});
  }
  if (known) return;
  for (const storage::StoredCursor& cursor : stored) {
    if (cursor.sink != sink) continue;
    to.others.push_back({std::string(sink), cursor.journal, cursor.next_sequence});
  }
}

/// What is in the files beside the cursors; `file` is the schedule's.
void add_notes(Consumers& to, const fs::path& data_dir, std::string_view sink,
               const pipeline::LaneSchedule& schedule, const Uuid& journal) {
  if (const pipeline::LaneSpan& last = schedule.spans().back(); last.from > 1) {
    to.cursors.push_back({lane_schedule_path(data_dir, sink).string(), last.from});
  }
  const fs::path file = reached_path(data_dir, sink);
  const std::uint64_t noted = pipeline::read_reached(file, journal, journal::posix_files());
  if (noted > 1) to.cursors.push_back({file.string(), noted});
}

Result<void> ask_database(Consumers& to, const storage::Store& store, const Asking& asking,
                          const pipeline::LaneSchedule& schedule, const Uuid& journal) {
  auto session = store.connect(asking.access);
  if (!session && session.error().code == ErrorCode::not_found && store.made_when_missing()) {
    to.absent.push_back(session.error().text);
    return {};
  }
  if (!session) return std::unexpected(session.error());
  auto stored = storage::stored_cursors(**session);
  if (!stored) return std::unexpected(stored.error());
  add_cursors(to, *stored, store.name(), journal, schedule.lanes_max());
  auto below = storage::durable_below(**session, store.name(), journal, schedule);
  if (!below) return std::unexpected(below.error());
  to.durable_below = std::min(to.durable_below, *below);
  return {};
}

void ask_store(Consumers& to, const Asking& asking, const Uuid& journal) {
  const auto silent = [&to](const Error& error) {
    to.silent.push_back(error.text);
    to.durable_below = 0;
  };
  auto store = storage::open_store(asking.store);
  if (!store) return silent(store.error());
  const std::string_view sink = asking.lanes_of.empty() ? (*store)->name() : asking.lanes_of;
  auto schedule = pipeline::read_lane_schedule(lane_schedule_path(asking.data_dir, sink), journal,
                                               journal::posix_files());
  if (!schedule) return silent(schedule.error());
  const std::size_t absent = to.absent.size();
  if (auto asked = ask_database(to, **store, asking, *schedule, journal); !asked) {
    silent(asked.error());
  }
  if (to.absent.size() > absent) to.durable_below = 0;
  add_notes(to, asking.data_dir, sink, *schedule, journal);
}

void ask_kafka(Consumers& to, const fs::path& data_dir, const Uuid& journal) {
  const std::uint64_t below = kafka_consumed_below(data_dir, journal);
  if (below > 1) to.cursors.push_back({"kafka/0", below});
  to.durable_below = std::min(to.durable_below, below);
  add_notes(to, data_dir, "kafka", {}, journal);
}

}  // namespace

journal::AskConsumers journal_consumers(const config::Settings& settings, storage::Access access) {
  Asking asking{store_options(settings, settings.data_dir), settings.data_dir, access};
  asking.store.connect_timeout = std::chrono::seconds(2);  // the start does not wait for a database
  if (!has_role(settings, config::Role::gateway)) asking.lanes_of = audit_sink_name;
  // Of a gateway without a processor, Kafka alone consumes this machine's journal; of an api
  // without a gateway, whose journal is its audit trail, the database does.
  const bool gateway = has_role(settings, config::Role::gateway);
  const bool store = has_role(settings, config::Role::processor) || !gateway;
  const bool kafka = gateway && !settings.kafka.brokers.empty();
  return [asking = std::move(asking), store, kafka](const Uuid& journal) {
    Consumers all;
    all.durable_below = std::numeric_limits<std::uint64_t>::max();
    if (store) ask_store(all, asking, journal);
    if (kafka) ask_kafka(all, asking.data_dir, journal);
    if (!store && !kafka) all.durable_below = 0;
    return all;
  };
}

}  // namespace trialwire
