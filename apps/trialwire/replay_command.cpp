// SPDX-License-Identifier: Apache-2.0
// `trialwire replay`: delivers records of the archive and of the journal to a sink once more.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

#include "archive/archive_reader.hpp"
#include "archive/replay.hpp"
#include "archive_access.hpp"
#include "base/rfc3339.hpp"
#include "command_entry.hpp"
#include "commands.hpp"
#include "data_directory.hpp"
#include "exit_code.hpp"
#include "pipeline/cursor_bounds.hpp"
#include "pipeline/sink_lanes.hpp"
#include "sequence_range.hpp"
#include "serve_kafka.hpp"
#include "serve_options.hpp"
#include "serve_store.hpp"
#include "settings_options.hpp"
#include "storage/sql/sqlite/dead_letter_store.hpp"

namespace trialwire {
namespace {

using archive::Archive;

struct Arguments {
  std::string from = "cursor";
  std::uint64_t until = UINT64_MAX - 1;
  std::string to;
  std::string journal;
  bool archive_only = false;
};

int failed(const Error& error) {
  fmt::print(stderr, "trialwire: {}\n", error.text);
  return error.code == ErrorCode::invalid_argument ? exit_usage : exit_failed;
}

/// Where records come from: an archive, a journal at rest, or both of the same journal.
struct Sources {
  std::unique_ptr<storage::ObjectStore> store;  // null: none
  std::vector<std::uint64_t> numbers;           // of archived segments
  std::unique_ptr<journal::JournalAtRest> journal;
  Uuid id;
};

Result<void> open_archived(const config::Settings& settings, const Arguments& arguments,
                           Sources& sources) {
  auto store = open_archive(settings);
  if (!store) return std::unexpected(store.error());
  sources.store = std::move(*store);
  if (sources.journal == nullptr) {
    const auto chosen = choose_journal(*sources.store, settings, arguments.journal);
    if (!chosen) return std::unexpected(chosen.error());
    sources.id = *chosen;
  }
  const Archive archive(*sources.store, sources.id);
  auto numbers = archive.numbers();
  if (!numbers) return std::unexpected(numbers.error());
  sources.numbers = std::move(*numbers);
  return {};
}

Result<Sources> open_sources(const config::Settings& settings, const Arguments& arguments) {
  Sources sources;
  if (!arguments.archive_only) {
    auto journal =
        journal::JournalAtRest::open(journal_directory(settings), journal::posix_files());
    // Of another journal there is the archive's alone.
    const bool wanted = journal && (arguments.journal.empty() ||
                                    (*journal)->info().meta.id.text() == arguments.journal);
    if (wanted) {
      sources.journal = std::move(*journal);
      sources.id = sources.journal->info().meta.id;
    } else if (!journal && journal.error().code != ErrorCode::not_found) {
      Error error = journal.error();
      error.text += "; --archive-only replays what is archived";
      return std::unexpected(std::move(error));
    }
  }
  if (settings.archive.url.empty() && sources.journal != nullptr) return sources;
  if (auto opened = open_archived(settings, arguments, sources); !opened) {
    return std::unexpected(opened.error());
  }
  return sources;
}

std::unique_ptr<journal::SegmentReader> read_from(const Sources& sources, std::uint64_t from) {
  archive::JoinedSources joined{.journal = sources.journal.get(), .from = from};
  if (sources.store != nullptr) {
    joined.archive = std::make_unique<archive::ArchiveReader>(Archive(*sources.store, sources.id),
                                                              sources.numbers, from);
  }
  return archive::joined(std::move(joined));
}

/// The first sequence that was received at this time or later.
Result<std::uint64_t> first_received(const Sources& sources, std::int64_t unix_ns) {
  std::uint64_t at = 1;
  if (sources.store) {
    const auto found =
        archive::sequence_at(Archive(*sources.store, sources.id), sources.numbers, unix_ns);
    if (!found) return found;
    at = *found;
  }
  if (sources.journal == nullptr) return at;
  auto reader = sources.journal->read(std::max(at, sources.journal->info().first_sequence));
  if (at < sources.journal->info().first_sequence && !sources.numbers.empty()) return at;
  std::vector<journal::Record> records;
  while (true) {
    const auto batch = reader->next();
    if (!batch) return std::unexpected(batch.error());
    if (*batch == nullptr) return reader->next_sequence();
    records.clear();
    if (!journal::decode_batch(**batch, records)) continue;
    for (const journal::Record& record : records) {
      if (record.attributes.received_ns >= unix_ns) return record.sequence;
    }
  }
}

struct RemoveFile {
  void operator()(const std::filesystem::path* file) const noexcept {
    std::error_code ignored;
    std::filesystem::remove(*file, ignored);
    delete file;
  }
};

/// Where records go, and from where on the sink itself lacks them.
struct Destination {
  std::unique_ptr<const std::filesystem::path, RemoveFile> scratch;  // goes after the lanes
  Sinks lanes;
  std::uint64_t cursor = 1;               // the earliest of the lanes'
  bool moves_cursor = false;              // else it stays as it is
  std::filesystem::path bounds_file;      // of a sink that was beyond where it can be
  std::uint64_t lacks_from = UINT64_MAX;  // what that may lack
};

Result<void> read_bounds(Destination& to, const config::Settings& settings, std::string_view sink,
                         const Uuid& journal) {
  to.bounds_file = cursor_bounds_path(settings.data_dir, sink);
  const auto bounds = pipeline::read_cursor_bounds(to.bounds_file, journal, journal::posix_files());
  if (!bounds) return std::unexpected(bounds.error());
  for (const auto& [lane, bound] : *bounds) to.lacks_from = std::min(to.lacks_from, bound);
  return {};
}

Result<Destination> open_store_sink(const config::Settings& settings, const Uuid& journal,
                                    telemetry::Registry& metrics) {
  auto store = storage::open_store(store_options(settings, settings.data_dir));
  if (!store) return std::unexpected(store.error());
  const std::filesystem::path data_dir = settings.data_dir;
  const auto schedule = pipeline::read_lane_schedule(lane_schedule_path(data_dir, (*store)->name()),
                                                     journal, journal::posix_files());
  if (!schedule) return std::unexpected(schedule.error());
  auto lanes = make_store_sinks(**store, journal, schedule->lanes_max(), metrics);
  if (!lanes) return std::unexpected(lanes.error());
  Destination destination;
  if (auto read = read_bounds(destination, settings, (*store)->name(), journal); !read) {
    return std::unexpected(read.error());
  }
  destination.lanes = std::move(*lanes);
  destination.cursor = UINT64_MAX;
  destination.moves_cursor = true;
  for (const auto& lane : destination.lanes) {
    const auto cursor = lane->durable_cursor(journal);
    if (!cursor) return std::unexpected(cursor.error());
    destination.cursor = std::min(destination.cursor, cursor->next_sequence);
  }
  destination.cursor = std::min(destination.cursor, destination.lacks_from);
  return destination;
}

/// A replay sends events again; what the server has sent it knows from its own cursor.
Result<Destination> open_kafka_sink(const config::Settings& settings, const Uuid& journal,
                                    telemetry::Registry& metrics) {
  if (settings.kafka.brokers.empty()) {
    return fail(ErrorCode::invalid_argument, "kafka.brokers is empty: no Kafka to replay to");
  }
  const std::filesystem::path data_dir = settings.data_dir;
  Destination destination;
  destination.scratch.reset(
      new std::filesystem::path(data_dir / "cursors" / fmt::format("kafka.replay-{}", ::getpid())));
  if (auto read = read_bounds(destination, settings, "kafka", journal); !read) {
    return std::unexpected(read.error());
  }
  destination.cursor = std::min(
      destination.lacks_from, std::max<std::uint64_t>(1, kafka_consumed_below(data_dir, journal)));
  destination.lanes.push_back(make_kafka_sink_apart(settings, *destination.scratch, metrics));
  return destination;
}

Result<Destination> open_destination(const config::Settings& settings, const std::string& to,
                                     const Uuid& journal, telemetry::Registry& metrics) {
  if (to == "kafka") return open_kafka_sink(settings, journal, metrics);
  return open_store_sink(settings, journal, metrics);
}

/// "store", or what the sink of store.url calls itself in `trialwire status`; "kafka".
Result<void> check_to(const config::Settings& settings, const std::string& to) {
  if (to == "store" || to == "kafka") return {};
  auto store = storage::open_store(store_options(settings, settings.data_dir));
  if (!store) return std::unexpected(store.error());
  if (to == (*store)->name()) return {};
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("--to names no sink: store (of store.url: {}) or kafka", (*store)->name()));
}

/// Of a text that is a sequence; 0: it is none.
std::uint64_t sequence_in(const std::string& text) {
  std::uint64_t sequence = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), sequence);
  return error == std::errc{} && end == text.data() + text.size() ? sequence : 0;
}

/// SEQUENCE, TIME or "cursor".
Result<std::uint64_t> resolve_from(const Sources& sources, const std::string& text,
                                   std::uint64_t cursor) {
  if (text == "cursor") return cursor;
  if (const std::uint64_t sequence = sequence_in(text); sequence > 0) return sequence;
  const auto time = parse_rfc3339(text);
  if (time) return first_received(sources, time->unix_ns);
  return fail(ErrorCode::invalid_argument,
              "--from is a sequence from 1 on, a time such as 2026-03-01T00:00:00Z, or cursor");
}

/// A submission is replayed whole. Where nothing can be read the replay says why.
std::uint64_t begin_of_unit(const Sources& sources, std::uint64_t from) {
  const auto begin = archive::unit_begin(*read_from(sources, from));
  return begin ? std::min(*begin, from) : from;
}

/// The sink has all that it may have lacked: the server goes by its cursor again.
Result<void> forget_bounds(const Destination& to, std::uint64_t from) {
  if (from > to.lacks_from || to.lacks_from == UINT64_MAX) return {};
  return pipeline::remove_cursor_bounds(to.bounds_file, journal::posix_files());
}

void print_refused(std::span<const journal::Record> unit, const Error& reason) {
  const std::uint64_t first = unit.front().sequence;
  fmt::print(stderr, "refused, set aside as dead letter: sequence {}{}: {}: {}\n", first,
             unit.size() == 1 ? "" : fmt::format(" to {}, a submission", unit.back().sequence),
             traits(reason.code).label, reason.text);
}

void print_report(const archive::ReplayReport& report, bool cursors) {
  if (report.refused > 0) {
    fmt::print("{} records are refused: trialwire deadletter list\n", report.refused);
  }
  if (report.first_sequence == 0) {
    fmt::print("nothing to replay: the source has no records from there on\n");
  } else {
    fmt::print("{} records delivered, sequences {} to {}\n", report.records, report.first_sequence,
               report.next_sequence - 1);
  }
  for (std::size_t lane = 0; cursors && lane < report.cursors_after.size(); ++lane) {
    fmt::print("cursor of lane {}: {}{}\n", lane, report.cursors_before[lane],
               report.cursors_after[lane] == report.cursors_before[lane]
                   ? ", as it was"
                   : fmt::format(" → {}", report.cursors_after[lane]));
  }
}

int run_replay(const config::Settings& settings, const Arguments& arguments) {
  if (auto known = check_to(settings, arguments.to); !known) return failed(known.error());
  auto sources = open_sources(settings, arguments);
  if (!sources) return failed(sources.error());
  telemetry::Registry metrics;
  const auto to = open_destination(settings, arguments.to, sources->id, metrics);
  if (!to) return failed(to.error());
  const auto wanted = resolve_from(*sources, arguments.from, to->cursor);
  if (!wanted) return failed(wanted.error());
  if (*wanted > arguments.until) {
    return failed(
        {ErrorCode::invalid_argument,
         fmt::format("--until {} is before the first record, {}", arguments.until, *wanted)});
  }
  const std::uint64_t from = begin_of_unit(*sources, *wanted);
  CommandAudit audit;
  auto begun =
      audit.begin(settings, {.command = "replay",
                             .by = {},
                             .why = {},
                             .detail = fmt::format(R"({{"journal":"{}","from":{},"to":"{}"}})",
                                                   sources->id.text(), from, arguments.to)});
  if (!begun) return failed(begun.error());
  fmt::print("replaying journal {} from sequence {}\n", sources->id.text(), from);

  const bool tty = ::isatty(STDERR_FILENO) == 1;
  archive::ReplayOptions options{.journal = sources->id, .until = arguments.until + 1};
  // The server may run: its cursor is its own business. And what is not sealed may still be cut
  // off as a torn tail: no sink may be told that it has it.
  if (sources->journal != nullptr) options.cursor_until = sources->journal->sealed_end();
  if (arguments.archive_only || !to->moves_cursor) options.cursor_until = 0;
  options.progress = [tty](std::uint64_t next, std::uint64_t records) {
    if (tty) fmt::print(stderr, "\r{} records, at sequence {}", records, next);
    return true;
  };
  const auto letters = storage::sqlite::make_dead_letters(dead_letters_path(settings.data_dir));
  options.dead_letters = letters.get();
  options.refusals_max = settings.pipeline.refusals_max;
  options.refused = print_refused;
  const auto reader = read_from(*sources, from);
  const auto report = archive::replay(*reader, to->lanes, options);
  if (tty) fmt::print(stderr, "\n");
  if (!report) return failed(report.error());
  const bool to_the_end = sources->journal != nullptr && arguments.until == Arguments{}.until;
  if (to_the_end) {
    if (auto forgotten = forget_bounds(*to, from); !forgotten) return failed(forgotten.error());
  }
  if (report->first_sequence == 0 && sequence_in(arguments.from) > 0) {
    fmt::print(stderr, "trialwire: --from {}: the source has no records from there on\n",
               arguments.from);
    return exit_failed;
  }
  print_report(*report, options.cursor_until > 0);
  if (report->refused > 0) return exit_failed;
  audit.done();
  return exit_ok;
}

}  // namespace

void add_replay_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("replay", "Deliver archived and journalled records to a sink once more");
  command->footer(
      "For a database that lost rows, that was restored from an older back-up, or that is to get\n"
      "the records of another journal. What is in a database already stays single. Its cursor\n"
      "never goes back, and goes forward only over what was delivered without a hole. Kafka gets\n"
      "every event once more, with the same key and record_id.\n"
      "The journal of data_dir is read behind the archive; a server that runs on it must be\n"
      "stopped, or --archive-only given, which leaves every cursor as it is.\n"
      "A record that the sink refuses for what it is goes to the dead letters with its reason, a\n"
      "submission whole, and the rest goes on; each is named. After pipeline.refusals_max in a "
      "row\n"
      "the replay ends. An error names the sequences, what was delivered before, and the --from\n"
      "with which a further replay sends nothing of that again.\n\n"
      "Examples:\n"
      "  trialwire replay --to store\n"
      "  trialwire replay --from 2026-03-01T00:00:00Z --to store\n"
      "  trialwire replay --journal 6f1c9e52-0d7a-4b6e-9a53-4f0f5f6d8a10 --from 1 --to store\n\n"
      "Exit codes: 0 all delivered, 1 not (refused records, a sequence from which on there is no\n"
      "record, or an error that says up to where), 2 wrong command line or settings.");
  command
      ->add_option("--from", arguments->from,
                   "First record: its sequence, a time of receipt, or cursor")
      ->capture_default_str();
  command
      ->add_option("--until", arguments->until,
                   "Last sequence; a submission that it is in comes whole [the newest]")
      ->check(sequence_range());
  command
      ->add_option("--to", arguments->to, "Sink: store, or its name in `trialwire status`; kafka")
      ->required();
  command->add_option("--journal", arguments->journal, "Id of the journal [data_dir's]");
  command->add_flag("--archive-only", arguments->archive_only, "Leave the journal alone");
  auto options = add_settings_options(*command);
  command->callback([options, arguments, &exit_code] {
    const auto settings = load_settings(*options);
    exit_code = settings ? run_replay(*settings, *arguments) : static_cast<int>(exit_usage);
  });
}

}  // namespace trialwire
