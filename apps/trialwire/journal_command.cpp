// SPDX-License-Identifier: Apache-2.0
// `trialwire journal info | verify | cat | repair`: a journal that no server holds.
#include <cstdint>
#include <cstdio>
#include <limits>

#include <fmt/format.h>

#include "archive/verify.hpp"
#include "archive_access.hpp"
#include "archive_pages.hpp"
#include "command_entry.hpp"
#include "commands.hpp"
#include "exit_code.hpp"
#include "journal/offline.hpp"
#include "journal_cat.hpp"
#include "journal_consumers.hpp"
#include "journal_pages.hpp"
#include "sequence_range.hpp"
#include "settings_options.hpp"

namespace trialwire {
namespace {

/// Cursors in databases are signed numbers of 64 bits; as much again is left to go on with.
constexpr std::int64_t resume_at_max = std::int64_t{1} << 62;

using std::filesystem::path;

void print_error(const Error& error) {
  fmt::print(stderr, "trialwire: {}\n", error.text);
}

/// A subcommand that works on the settings; `run` returns its exit code.
template <typename Run>
CLI::App* add_action(CLI::App& journal, int& exit_code, const char* name, const char* description,
                     const std::string& manual, Run run) {
  CLI::App* command = journal.add_subcommand(name, description);
  command->footer(manual);
  auto options = add_settings_options(*command);
  command->callback([options, run, &exit_code] {
    auto settings = load_settings(*options);
    exit_code = settings ? run(*settings) : static_cast<int>(exit_usage);
  });
  return command;
}

/// Of a stopped server: nothing is made or changed where they are.
journal::AskConsumers consumers_at_rest(const config::Settings& settings) {
  return journal_consumers(settings, storage::Access::at_rest);
}

int run_info(const config::Settings& settings, bool json) {
  const path directory = journal_directory(settings);
  auto info = journal::journal_info(directory, journal::posix_files(), consumers_at_rest(settings));
  if (!info) {
    print_error(info.error());
    return exit_failed;
  }
  fmt::print("{}", json ? info_json(directory, *info) : info_text(directory, *info));
  return info->refusal.empty() ? exit_ok : exit_failed;
}

struct VerifyArguments {
  bool json = false;
  bool archive = false;
};

/// The archive of that journal, and that the two join.
Result<archive::ArchiveReport> verify_archive_of(const config::Settings& settings) {
  auto store = open_archive(settings);
  if (!store) return std::unexpected(store.error());
  const path directory = journal_directory(settings);
  const auto info = journal::journal_info(directory, journal::posix_files());
  if (!info) return std::unexpected(info.error());
  archive::VerifyArchiveOptions options{.journal = &*info};
  const auto key = journal::VerifyingKey::load(journal::posix_files(), directory);
  if (key) options.journal_key = key->fingerprint();
  return archive::verify_archive(archive::Archive(**store, info->meta.id), options);
}

int run_verify(const config::Settings& settings, const VerifyArguments& arguments) {
  auto report = journal::journal_verify(journal_directory(settings), journal::posix_files(),
                                        {.consumers = consumers_at_rest(settings)});
  if (!report) {
    print_error(report.error());
    return exit_failed;
  }
  bool whole = report->problems == 0;
  std::string page = arguments.json ? verify_json(*report) : verify_text(*report);
  if (arguments.archive) {
    const auto archived = verify_archive_of(settings);
    if (!archived) {
      fmt::print("{}", page);
      print_error(archived.error());
      return archived.error().code == ErrorCode::invalid_argument ? exit_usage : exit_failed;
    }
    whole = whole && archived->problems == 0;
    if (arguments.json) {
      page.pop_back();  // its line's end
      page = fmt::format("{{\"ok\":{},\"journal\":{},\"archive\":{}", whole, page,
                         archive_verify_json(*archived));
      page.insert(page.size() - 1, "}");
    } else {
      page += archive_verify_text(*archived);
    }
  }
  fmt::print("{}", page);
  return whole ? exit_ok : exit_failed;
}

int run_cat(const config::Settings& settings, const journal::CatRange& range, bool bodies) {
  const path directory = journal_directory(settings);
  CommandAudit audit;
  if (bodies) {
    auto begun = audit.begin(
        settings, {.command = "journal cat --bodies",
                   .reads = true,
                   .by = {},
                   .why = {},
                   .detail = fmt::format(R"({{"from":{},"to":{}}})", range.from, range.to)});
    if (!begun) {
      print_error(begun.error());
      return exit_failed;
    }
  }
  constexpr std::size_t write_bytes = 1 << 20;
  std::string lines;
  bool written = true;
  auto write = [&lines, &written] {
    written = written && std::fwrite(lines.data(), 1, lines.size(), stdout) == lines.size();
    lines.clear();
  };
  auto read = journal::journal_cat(directory, journal::posix_files(), range,
                                   [&](const Uuid& id, const journal::Record& record) {
                                     append_record_line(lines, id, record, bodies);
                                     if (lines.size() >= write_bytes) write();
                                     return written;
                                   });
  write();
  if (!read) print_error(read.error());
  if (!read && read.error().code == ErrorCode::invalid_argument) return exit_usage;
  written = written && std::fflush(stdout) == 0;
  if (!written) print_error({ErrorCode::io, "cannot write the output"});
  if (!read || !written) return exit_failed;
  audit.done();
  return exit_ok;
}

int run_repair(const config::Settings& settings, journal::RepairOptions options) {
  options.consumers = consumers_at_rest(settings);
  CommandAudit audit;
  if (options.apply) {
    auto begun = audit.begin(
        settings, {.command = "journal repair --apply", .by = {}, .why = {}, .detail = {}});
    if (!begun) {
      print_error(begun.error());
      return exit_failed;
    }
  }
  auto report =
      journal::journal_repair(journal_directory(settings), journal::posix_files(), options);
  if (!report) {
    print_error(report.error());
    return exit_failed;
  }
  fmt::print("{}", repair_text(*report));
  const bool to_do = !report->problems.empty() || !report->actions.empty();
  if (to_do && !report->applied) return exit_failed;
  audit.done();
  return exit_ok;
}

void add_info(CLI::App& journal, int& exit_code) {
  auto json = std::make_shared<bool>(false);
  add_action(
      journal, exit_code, "info", "Say what the journal holds, by its headers",
      "Identity, sequences, segments, sizes, and how far its consumers have read, which the\n"
      "database is asked for. Quick, also for a large journal: reads headers, not records.\n"
      "--json prints one JSON object.\n\n"
      "Examples:\n"
      "  trialwire journal info\n"
      "  trialwire journal info --json --set data_dir=/var/lib/trialwire\n\n"
      "Exit codes: 0 it would start, 1 it would not (or is in use, or is not there), 2 wrong\n"
      "command line or settings.",
      [json](const config::Settings& settings) { return run_info(settings, *json); })
      ->add_flag("--json", *json, "One JSON object");
}

void add_verify(CLI::App& journal, int& exit_code) {
  auto arguments = std::make_shared<VerifyArguments>();
  CLI::App* command = add_action(
      journal, exit_code, "verify", "Check everything: chain, hashes, records, signatures, cursors",
      "Reads all segments, and asks the database how far it has read. Each finding is a line with\n"
      "file and offset; findings that would keep a server from starting are problems. What a\n"
      "repair gave up is named. Changes nothing. --archive checks the archive\n"
      "of this journal as well: every manifest, signature and object, and that the chain goes on\n"
      "from the archive into the journal without a hole.\n\n"
      "Examples:\n"
      "  trialwire journal verify\n"
      "  trialwire journal verify --archive --config /etc/trialwire.yaml\n\n"
      "Exit codes: 0 all is well, 1 something is wrong (or the journal is in use, or not\n"
      "there), 2 wrong command line or settings.",
      [arguments](const config::Settings& settings) { return run_verify(settings, *arguments); });
  command->add_flag("--json", arguments->json, "One JSON object");
  command->add_flag("--archive", arguments->archive, "The archive, too");
}

void add_cat(CLI::App& journal, int& exit_code) {
  struct Arguments {
    std::int64_t from = 0;
    std::int64_t to = std::numeric_limits<std::int64_t>::max();
    bool bodies = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = add_action(
      journal, exit_code, "cat", "Print records as JSON, one a line",
      "Sequence, record id, kind, time and origin of receipt, identity, size. The sender's bytes,\n"
      "which are patients' data, only with --bodies. Stops at the first damage. A range that "
      "begins\n"
      "with a deleted sequence, or one that is not written yet, is refused.\n\n"
      "Examples:\n"
      "  trialwire journal cat --from 800 --to 900\n"
      "  trialwire journal cat --bodies | jq -r .body\n\n"
      "Exit codes: 0 printed, 1 not (damaged, deleted, in use, or not there), 2 wrong command "
      "line\n"
      "or settings.",
      [arguments](const config::Settings& settings) {
        const journal::CatRange range{.from = static_cast<std::uint64_t>(arguments->from),
                                      .to = static_cast<std::uint64_t>(arguments->to)};
        return run_cat(settings, range, arguments->bodies);
      });
  const CLI::Range sequences = sequence_range();
  command->add_option("--from", arguments->from, "First sequence [the oldest]")->check(sequences);
  command->add_option("--to", arguments->to, "Last sequence [the newest]")->check(sequences);
  command->add_flag("--bodies", arguments->bodies, "With the sender's bytes (patients' data)");
}

void add_repair(CLI::App& journal, int& exit_code) {
  struct Arguments {
    bool apply = false;
    std::int64_t resume_at = 0;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = add_action(
      journal, exit_code, "repair", "Make a damaged journal start again, losing only the damage",
      "Says what it found and what it would do; --apply does it. What is damaged is moved to\n"
      "journal/quarantine, never deleted; every intact batch stays; the sequences that are lost\n"
      "are named, and what cannot be known is said. Take a copy of the directory first.\n\n"
      "A directory restored from an older copy is refused while a sink has read further. The\n"
      "journal then goes on beyond what the database says that it has, or beyond --resume-at\n"
      "SEQUENCE, for a sink that cannot be asked.\n\n"
      "Examples:\n"
      "  trialwire journal repair\n"
      "  trialwire journal repair --apply\n"
      "  trialwire journal repair --apply --resume-at 1000000\n\n"
      "Exit codes: 0 nothing to do, or done; 1 something to do and not applied, or not possible;\n"
      "2 wrong command line or settings.",
      [arguments](const config::Settings& settings) {
        journal::RepairOptions options;
        options.apply = arguments->apply;
        if (arguments->resume_at > 0) {
          options.resume_at = static_cast<std::uint64_t>(arguments->resume_at);
        }
        return run_repair(settings, options);
      });
  command->add_flag("--apply", arguments->apply, "Do it");
  command->add_option("--resume-at", arguments->resume_at, "Go on with this sequence at least")
      ->check(CLI::Range(std::int64_t{1}, resume_at_max));
}

}  // namespace

void add_journal_command(CLI::App& app, int& exit_code) {
  CLI::App* journal =
      app.add_subcommand("journal", "Look at, check and repair the journal of a stopped server");
  journal->require_subcommand(1);
  journal->footer(
      "The journal is data_dir/journal. A server that runs on it keeps these commands out.\n\n"
      "Examples:\n"
      "  trialwire journal info\n"
      "  trialwire journal verify --set data_dir=/var/lib/trialwire");
  add_info(*journal, exit_code);
  add_verify(*journal, exit_code);
  add_cat(*journal, exit_code);
  add_repair(*journal, exit_code);
}

}  // namespace trialwire
