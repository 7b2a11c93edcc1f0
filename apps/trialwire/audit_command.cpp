// SPDX-License-Identifier: Apache-2.0
// `trialwire audit show`: the audit trail out of a journal that no server holds, or of the archive.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "archive/archive_reader.hpp"
#include "archive_access.hpp"
#include "audit/entry_reader.hpp"
#include "audit_pages.hpp"
#include "base/rfc3339.hpp"
#include "command_entry.hpp"
#include "commands.hpp"
#include "exit_code.hpp"
#include "journal/offline.hpp"
#include "journal/segment_store.hpp"
#include "settings_options.hpp"

namespace trialwire {
namespace {

struct Arguments {
  std::string since, until, journal;
  AuditFilter filter;
  bool json = false;
  bool archive = false;
};

int failed(const Error& error) {
  fmt::print(stderr, "trialwire: {}\n", error.text);
  return error.code == ErrorCode::invalid_argument ? exit_usage : exit_failed;
}

/// One of the two, and the reader in it.
struct Source {
  std::unique_ptr<storage::ObjectStore> store;
  std::unique_ptr<journal::JournalAtRest> journal;
  std::unique_ptr<journal::SegmentReader> reader;
};

Result<Source> open_archived(const config::Settings& settings, const Arguments& arguments) {
  Source source;
  auto store = open_archive(settings);
  if (!store) return std::unexpected(store.error());
  source.store = std::move(*store);
  const auto chosen = choose_journal(*source.store, settings, arguments.journal);
  if (!chosen) return std::unexpected(chosen.error());
  const archive::Archive archive(*source.store, *chosen);
  auto numbers = archive.numbers();
  if (!numbers) return std::unexpected(numbers.error());
  // From the first that is there, which need not be sequence 1: a time before all gives it.
  const auto first = archive::sequence_at(archive, *numbers, INT64_MIN);
  if (!first) return std::unexpected(first.error());
  source.reader = std::make_unique<archive::ArchiveReader>(archive, std::move(*numbers), *first);
  return source;
}

Result<Source> open_source(const config::Settings& settings, const Arguments& arguments) {
  if (arguments.archive) return open_archived(settings, arguments);
  Source source;
  auto journal = journal::JournalAtRest::open(journal_directory(settings), journal::posix_files());
  if (!journal) {
    Error error = journal.error();
    if (error.code == ErrorCode::unavailable) {
      error.text += "; ask the server for GET /v1/audit, or read what is archived with --archive";
    }
    return std::unexpected(std::move(error));
  }
  source.journal = std::move(*journal);
  source.reader = source.journal->read(source.journal->info().first_sequence);
  return source;
}

Result<std::optional<std::int64_t>> time_of(std::string_view option, const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (const auto time = parse_rfc3339(text)) return time->unix_ns;
  return fail(ErrorCode::invalid_argument,
              fmt::format("{} is a time such as 2026-03-01T00:00:00Z", option));
}

Result<void> print_entries(journal::SegmentReader& reader, const Arguments& arguments) {
  audit::EntryReader entries;
  std::vector<journal::Record> records;
  std::string lines;
  while (true) {
    const auto batch = reader.next();
    if (!batch) return std::unexpected(batch.error());
    if (*batch == nullptr) break;
    records.clear();
    if (!journal::decode_batch(**batch, records)) {
      return fail(ErrorCode::corrupt, "a batch cannot be decoded");
    }
    for (const journal::Record& record : records) {
      if (record.attributes.kind != journal::RecordKind::audit) continue;
      auto entry = entries.read(record);
      if (!entry) return std::unexpected(entry.error());
      if (!arguments.filter.takes(*entry)) continue;
      arguments.json ? append_audit_json(lines, record) : append_audit_line(lines, record, *entry);
    }
    if (std::fwrite(lines.data(), 1, lines.size(), stdout) != lines.size()) {
      return fail(ErrorCode::io, "cannot write the output");
    }
    lines.clear();
  }
  if (std::fflush(stdout) != 0) return fail(ErrorCode::io, "cannot write the output");
  return {};
}

int run_show(const config::Settings& settings, Arguments arguments) {
  const auto since = time_of("--since", arguments.since);
  if (!since) return failed(since.error());
  const auto until = time_of("--until", arguments.until);
  if (!until) return failed(until.error());
  arguments.filter.since_ns = *since;
  arguments.filter.until_ns = *until;
  const auto source = open_source(settings, arguments);
  if (!source) return failed(source.error());
  CommandAudit audit;
  auto begun = audit.begin(
      settings, {.command = "audit show", .reads = true, .by = {}, .why = {}, .detail = {}});
  if (!begun) return failed(begun.error());
  const auto printed = print_entries(*source->reader, arguments);
  if (!printed) return failed(printed.error());
  audit.done();
  return exit_ok;
}

}  // namespace

void add_audit_command(CLI::App& app, int& exit_code) {
  CLI::App* group = app.add_subcommand("audit", "Show the audit trail");
  group->require_subcommand(1);
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = group->add_subcommand("show", "Print who did what, when and why");
  command->footer(
      "Reads the journal of a stopped server, or what is archived of it with --archive, oldest\n"
      "first; a running server answers GET /v1/audit. A line an entry: sequence, time, who, what,\n"
      "what came of it, and what is known besides. --json prints each as one JSON object, with\n"
      "sequence, record id and time of receipt. Stops at the first damage. What a command left is\n"
      "in the journal once a server has started after it. That this was printed is an entry, "
      "too.\n\n"
      "Examples:\n"
      "  trialwire audit show --since 2026-03-01T00:00:00Z --what login_failure\n"
      "  trialwire audit show --subject P-1 --json | jq -r .who | sort | uniq -c\n"
      "  trialwire audit show --archive --journal 6f1c9e52-0d7a-4b6e-9a53-4f0f5f6d8a10\n\n"
      "Exit codes: 0 printed, 1 not (damaged, in use, or not there), 2 wrong command line or\n"
      "settings.");
  command->add_option("--since", arguments->since, "From this time on")->type_name("TIME");
  command->add_option("--until", arguments->until, "Before this time")->type_name("TIME");
  command->add_option("--who", arguments->filter.who, "Of this name or account")->type_name("NAME");
  command
      ->add_option("--what", arguments->filter.what,
                   "read, login_failure, refused, setting or command")
      ->type_name("WHAT");
  command->add_option("--subject", arguments->filter.subject, "About this patient alone")
      ->type_name("ID");
  command->add_option("--journal", arguments->journal, "With --archive: id of the journal")
      ->type_name("ID");
  command->add_flag("--archive", arguments->archive, "What is archived, not the journal");
  command->add_flag("--json", arguments->json, "One JSON object a line");
  auto options = add_settings_options(*command);
  command->callback([options, arguments, &exit_code] {
    const auto settings = load_settings(*options);
    exit_code = settings ? run_show(*settings, *arguments) : static_cast<int>(exit_usage);
  });
}

}  // namespace trialwire
