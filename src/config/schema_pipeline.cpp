// SPDX-License-Identifier: Apache-2.0
// Settings of the pipeline, and what each sink has in place of them.
#include <fmt/format.h>

#include "config/schema_rows.hpp"

namespace trialwire::config::schema {
namespace {

/// What one sink has in place of the numbers of `pipeline`.
template <auto Sink>
void add_sink(std::vector<Descriptor>& rows, std::string_view sink, std::uint64_t lanes_max) {
  using One = SinkSettings;
  static const std::vector<std::string> paths = [sink] {
    std::vector<std::string> made;
    for (std::string_view name : {"lanes", "batch_records", "batch_records_lagging", "batch_delay",
                                  "batch_bytes", "priority"}) {
      made.push_back(fmt::format("pipeline.sinks.{}.{}", sink, name));
    }
    return made;
  }();
  rows.push_back(row<&S::pipeline, Sink, &One::lanes>(
      paths[0], integer(0, lanes_max), "As pipeline.lanes, of this sink; 0: as that."));
  rows.push_back(row<&S::pipeline, Sink, &One::batch_records>(
      paths[1], integer(0, 100'000), "As pipeline.batch_records; 0: as that."));
  rows.push_back(row<&S::pipeline, Sink, &One::batch_records_lagging>(
      paths[2], integer(0, 1'000'000), "As pipeline.batch_records_lagging; 0: as that."));
  rows.push_back(row<&S::pipeline, Sink, &One::batch_delay>(
      paths[3], duration(0, hour), "As pipeline.batch_delay; 0: as that."));
  rows.push_back(row<&S::pipeline, Sink, &One::batch_bytes>(
      paths[4], bytes(0, gib), "As pipeline.batch_bytes; 0: as that."));
  rows.push_back(row<&S::pipeline, Sink, &One::priority>(
      paths[5], choice(priority_names),
      "In the background, at normal priority, or as pipeline.background says."));
}

using P = PipelineSettings;

/// How much goes into one transaction, and what follows when it fails.
void add_deliveries(std::vector<Descriptor>& rows) {
  rows.push_back(row<&S::pipeline, &P::lanes>(
      "pipeline.lanes", integer(1, 64),
      "Connections of a sink that records are spread over, by patient, device or study; each keeps "
      "the order of its own. May change from start to start."));
  rows.push_back(row<&S::pipeline, &P::batch_records>("pipeline.batch_records", integer(1, 100'000),
                                                      "Records of one sink transaction."));
  rows.push_back(row<&S::pipeline, &P::batch_records_lagging>(
      "pipeline.batch_records_lagging", integer(1, 1'000'000),
      "Records of one sink transaction while the sink lags."));
  rows.push_back(row<&S::pipeline, &P::batch_delay>("pipeline.batch_delay", duration(0, hour),
                                                    "How long a sink waits for a batch to fill."));
  rows.push_back(row<&S::pipeline, &P::batch_bytes>(
      "pipeline.batch_bytes", bytes(64 * kib, gib),
      "Bytes of one sink transaction; one request's records are never split."));
  rows.push_back(row<&S::pipeline, &P::delivery_interval>(
      "pipeline.delivery_interval", duration(0, hour),
      "From one sink transaction's start to the next's, unless a full one waits."));
  rows.push_back(row<&S::pipeline, &P::retry_first>(
      "pipeline.retry_first", duration(ms, hour),
      "Longest wait after a sink's first failure; doubled with each further one."));
  rows.push_back(
      row<&S::pipeline, &P::retry_max>("pipeline.retry_max", duration(ms, hour),
                                       "Longest wait between a sink's attempts; they never end."));
  rows.push_back(row<&S::pipeline, &P::idle_check>(
      "pipeline.idle_check", duration(0, hour),
      "A sink with nothing to deliver for so long is asked where it is: one that was restored from "
      "a back-up or replaced gets what it lacks, also in a quiet hour. 0 is never."));
}

/// When sinks leave the processor to intake.
void add_giving_way(std::vector<Descriptor>& rows) {
  rows.push_back(row<&S::pipeline, &P::background>(
      "pipeline.background", boolean,
      "Sinks get the processor and the disk when nothing else wants them: intake comes first. "
      "Where the lowest priority is not enough for that, they pause between transactions."));
  rows.push_back(row<&S::pipeline, &P::pause_max>(
      "pipeline.pause_max", duration(0, hour),
      "Longest pause of a sink in the background while it meets contention; the first is 250ms, "
      "each further one twice as long. 0 is off."));
  rows.push_back(row<&S::pipeline, &P::pause_waiting_share>(
      "pipeline.pause_waiting_share", {.kind = Kind::percent, .minimum = 0, .maximum = 100},
      "The processor is contended when a sink waits for it for more than this share of the time "
      "that it wants it."));
  rows.push_back(row<&S::pipeline, &P::pause_lag_max>(
      "pipeline.pause_lag_max", duration(0, 24 * hour),
      "A sink does not pause once it is so far behind: rows become visible later in a burst, not "
      "for as long as intake is busy."));
  rows.push_back(row<&S::pipeline, &P::pause_lag_in_pace>(
      "pipeline.pause_lag_in_pace", duration(0, 24 * hour),
      "As pause_lag_max, of a sink that keeps up with what arrives, or would without contention: "
      "it "
      "stays so close behind. Not of SQLite, whose work is all in this process."));
  rows.push_back(row<&S::pipeline, &P::pause_backlog_share>(
      "pipeline.pause_backlog_share", {.kind = Kind::percent, .minimum = 0, .maximum = 100},
      "A sink does not pause while what it lacks takes more than this share of "
      "journal.max_bytes."));
}

}  // namespace

void add_pipeline(std::vector<Descriptor>& rows) {
  add_deliveries(rows);
  add_giving_way(rows);
  rows.push_back(row<&S::pipeline, &P::qol_batch_records>(
      "pipeline.qol_batch_records", integer(1, 100'000),
      "Quality of life answers wait for so many of them, in place of pipeline.batch_records."));
  rows.push_back(row<&S::pipeline, &P::qol_batch_records_lagging>(
      "pipeline.qol_batch_records_lagging", integer(1, 1'000'000),
      "Quality of life answers that a sink collects for one transaction while it lags."));
  rows.push_back(row<&S::pipeline, &P::qol_batch_delay>(
      "pipeline.qol_batch_delay", duration(0, hour),
      "How long quality of life answers wait for more, in place of pipeline.batch_delay."));
  rows.push_back(row<&S::pipeline, &P::refusals_max>(
      "pipeline.refusals_max", integer(0, 1'000'000),
      "Records that a sink refuses in a row, none taken between, are set aside as dead letters up "
      "to this number; then the sink is taken to be wrong, and waited for. 0 is no bound."));
  rows.push_back(row<&S::pipeline, &P::dead_letters_keep>(
      "pipeline.dead_letters_keep", duration(0, 200 * year),
      "How long a dead letter is kept after it was delivered, for a database that is restored to "
      "before that: no less than the age of the oldest back-up that may be put in place. What "
      "waits, and what was discarded, is kept. 0 is for ever."));
  add_sink<&P::sqlite>(rows, "sqlite", 1);
  add_sink<&P::postgres>(rows, "postgres", 64);
  add_sink<&P::mysql>(rows, "mysql", 64);
  add_sink<&P::kafka>(rows, "kafka", 1);
}

}  // namespace trialwire::config::schema
