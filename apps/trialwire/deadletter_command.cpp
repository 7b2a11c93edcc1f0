// SPDX-License-Identifier: Apache-2.0
// `trialwire deadletter list | show | retry | discard`: what a sink refuses, and what becomes of
// it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "account.hpp"
#include "command_entry.hpp"
#include "commands.hpp"
#include "data_directory.hpp"
#include "deadletter_pages.hpp"
#include "exit_code.hpp"
#include "named_sink.hpp"
#include "serve_options.hpp"
#include "settings_options.hpp"
#include "sink_names.hpp"
#include "storage/sql/sqlite/dead_letter_desk.hpp"
#include "storage/sql/store.hpp"

namespace trialwire {
namespace {

using storage::sqlite::DeadLetter;
using storage::sqlite::DeadLetterDesk;
using storage::sqlite::LetterDecision;
using storage::sqlite::LetterFilter;
using storage::sqlite::LetterState;

struct Arguments {
  std::string sink, state, by, reason;
  std::vector<std::int64_t> ids;
  bool every_state = false, json = false, reveal = false, all = false;
};

int refuse(const Error& error) {
  fmt::print(stderr, "trialwire: {}\n", error.text);
  return exit_failed;
}

/// {"ids":[1,2],"sink":"postgres"}
std::string detail_of(const Arguments& arguments) {
  std::string json = fmt::format("{{\"ids\":[{}]", fmt::join(arguments.ids, ","));
  if (!arguments.sink.empty()) json += fmt::format(R"(,"sink":"{}")", arguments.sink);
  return json + '}';
}

Result<void> begin(CommandAudit& audit, const config::Settings& settings,
                   const Arguments& arguments, std::string_view command) {
  return audit.begin(settings, {.command = command,
                                .reads = arguments.reveal,
                                .by = arguments.by,
                                .why = arguments.reason,
                                .detail = detail_of(arguments)});
}

LetterDecision decision(const Arguments& arguments) {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return {.by = arguments.by.empty() ? account_name() : arguments.by,
          .why = arguments.reason,
          .at_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()};
}

int run_list(const config::Settings& settings, const Arguments& arguments) {
  const auto file = dead_letters_path(settings.data_dir);
  LetterFilter filter{.sink = arguments.sink, .every_state = arguments.every_state};
  if (arguments.state == "waiting") filter.state = LetterState::waiting;
  if (arguments.state == "retry_requested") filter.state = LetterState::retry_requested;
  if (arguments.state == "delivered") filter.state = LetterState::delivered;
  if (arguments.state == "discarded") filter.state = LetterState::discarded;
  auto desk = DeadLetterDesk::open(file);
  std::error_code ignored;
  const bool none = !desk && desk.error().code == ErrorCode::not_found &&
                    std::filesystem::is_directory(file.parent_path(), ignored);
  if (!desk && !none) return refuse(desk.error());
  CommandAudit audit;
  if (arguments.reveal) {
    auto begun = begin(audit, settings, arguments, "deadletter list --reveal");
    if (!begun) return refuse(begun.error());
  }
  Result<std::uint64_t> listed = std::uint64_t{0};
  bool head = false;
  if (desk) {
    listed = desk->each(filter, [&](const DeadLetter& letter) {
      if (!arguments.json && !std::exchange(head, true)) fmt::print("{}", letter_head());
      fmt::print("{}", arguments.json ? letter_json(letter, arguments.reveal)
                                      : letter_line(letter, arguments.reveal));
    });
  }
  if (!listed) return refuse(listed.error());
  if (*listed == 0 && !arguments.json) {
    fmt::print("no dead letters {} {}\n", none ? "yet: there is no" : "in", file.string());
  }
  audit.done();
  return exit_ok;
}

int run_show(const config::Settings& settings, const Arguments& arguments) {
  const auto file = dead_letters_path(settings.data_dir);
  auto desk = DeadLetterDesk::open(file);
  if (!desk) return refuse(desk.error());
  CommandAudit audit;
  if (arguments.reveal) {
    auto begun = begin(audit, settings, arguments, "deadletter show --reveal");
    if (!begun) return refuse(begun.error());
  }
  LetterFilter filter{.id = arguments.ids.front()};
  auto found = desk->each(filter, [&](const DeadLetter& letter) {
    fmt::print("{}", arguments.json ? letter_json(letter, arguments.reveal)
                                    : letter_page(letter, arguments.reveal));
  });
  if (!found) return refuse(found.error());
  if (*found > 0) {
    audit.done();
    return exit_ok;
  }
  return refuse({ErrorCode::not_found, fmt::format("there is no dead letter {}", *filter.id)});
}

/// Those that a server with these settings delivers to.
std::vector<std::string> sinks_of(const config::Settings& settings) {
  std::vector<std::string> sinks;
  if (has_role(settings, config::Role::processor)) {
    auto store = storage::open_store(store_options(settings, settings.data_dir));
    if (store) sinks.emplace_back((*store)->name());
  }
  if (has_role(settings, config::Role::gateway) && !settings.kafka.brokers.empty()) {
    sinks.emplace_back("kafka");
  }
  if (has_role(settings, config::Role::api) && !has_role(settings, config::Role::gateway)) {
    sinks.emplace_back(audit_sink_name);
  }
  return sinks;
}

/// What is asked for and nobody will take is said.
Result<void> name_absent_sinks(const config::Settings& settings, DeadLetterDesk& desk) {
  const auto asked = desk.asked();
  if (!asked) return std::unexpected(asked.error());
  const auto sinks = sinks_of(settings);
  for (const auto& [sink, count] : *asked) {
    if (std::ranges::find(sinks, sink) != sinks.end()) continue;
    fmt::print(stderr,
               "trialwire: {} of {} wait until a server delivers to it: with these settings none "
               "does\n",
               count, sink);
  }
  return {};
}

int run_retry(const config::Settings& settings, const Arguments& arguments) {
  if (arguments.ids.empty() == !arguments.all) {
    fmt::print(stderr, "trialwire: deadletter retry wants either ids or --all\n");
    return exit_usage;
  }
  if (!arguments.all && !arguments.sink.empty()) {
    fmt::print(stderr,
               "trialwire: deadletter retry --sink goes with --all: an id is of one sink\n");
    return exit_usage;
  }
  auto desk = DeadLetterDesk::open(dead_letters_path(settings.data_dir));
  if (!desk) return refuse(desk.error());
  CommandAudit audit;
  if (auto begun = begin(audit, settings, arguments, "deadletter retry"); !begun) {
    return refuse(begun.error());
  }
  auto asked = arguments.all ? desk->ask_for_all(arguments.sink, decision(arguments))
                             : desk->ask_for(arguments.ids, decision(arguments));
  if (!asked) return refuse(asked.error());
  audit.done();
  fmt::print("{} records will be delivered again, by the running server or at its next start\n",
             *asked);
  if (auto named = name_absent_sinks(settings, *desk); !named) return refuse(named.error());
  return exit_ok;
}

int run_discard(const config::Settings& settings, const Arguments& arguments) {
  const auto file = dead_letters_path(settings.data_dir);
  auto desk = DeadLetterDesk::open(file);
  if (!desk) return refuse(desk.error());
  CommandAudit audit;
  if (auto begun = begin(audit, settings, arguments, "deadletter discard"); !begun) {
    return refuse(begun.error());
  }
  auto discarded = desk->discard(arguments.ids, decision(arguments));
  if (!discarded) return refuse(discarded.error());
  audit.done();
  fmt::print("{} records discarded; they stay listed with --all\n", *discarded);
  return exit_ok;
}

/// `run` works with the settings and returns the exit code.
template <typename Run>
CLI::App* add_action(CLI::App& group, int& exit_code, const char* name, const char* description,
                     const std::string& manual, std::shared_ptr<Arguments> arguments, Run run) {
  CLI::App* command = group.add_subcommand(name, description);
  command->footer(manual);
  auto options = add_settings_options(*command);
  command->callback([options, arguments, run, &exit_code] {
    auto settings = load_settings(*options);
    exit_code = settings ? run(*settings, *arguments) : static_cast<int>(exit_usage);
  });
  return command;
}

void add_list(CLI::App& group, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = add_action(
      group, exit_code, "list", "List what sinks refuse",
      "A line a record, oldest first: those that wait for you (waiting) and those that will be\n"
      "delivered again (retry_requested). --all adds what was delivered or discarded since.\n"
      "No patient's data, unless you ask for the sender's bytes with --reveal.\n\n"
      "Examples:\n"
      "  trialwire deadletter list\n"
      "  trialwire deadletter list --sink postgres --json | jq -r .reason | sort | uniq -c\n"
      "  trialwire deadletter list --state discarded\n\n"
      "Exit codes: 0 listed, also when there are none; 1 the file cannot be read, or there is no\n"
      "data_dir; 2 wrong command line or settings.",
      arguments, run_list);
  command->add_option("--sink", arguments->sink, "Of this sink only")
      ->type_name("NAME")
      ->check(CLI::IsMember(sink_names));
  command->add_option("--state", arguments->state, "In this state only")
      ->type_name("STATE")
      ->check(CLI::IsMember({"waiting", "retry_requested", "delivered", "discarded"}));
  command->add_flag("--all", arguments->every_state, "In every state");
  command->add_flag("--json", arguments->json, "One JSON object a line");
  command->add_flag("--reveal", arguments->reveal, "With the sender's bytes (patients' data)");
}

void add_show(CLI::App& group, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = add_action(
      group, exit_code, "show", "Show one of them whole",
      "Every field: where it came from, why it was refused, what was decided. The sender's bytes,\n"
      "which are a patient's data, only with --reveal.\n\n"
      "Examples:\n"
      "  trialwire deadletter show 12\n"
      "  trialwire deadletter show 12 --json --reveal | jq -r .body\n\n"
      "Exit codes: 0 shown, 1 there is none such, 2 wrong command line or settings.",
      arguments, run_show);
  command->add_option("id", arguments->ids, "As the list says")->required()->expected(1);
  command->add_flag("--json", arguments->json, "One JSON object");
  command->add_flag("--reveal", arguments->reveal, "With the sender's bytes (patients' data)");
}

void add_retry(CLI::App& group, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = add_action(
      group, exit_code, "retry", "Have them delivered again",
      "For when the sink has been mended: a column widened, a limit raised. The running server\n"
      "begins within a second and delivers up to 100 of them a second, a submission as one;\n"
      "without one, the next start does. What came later stays delivered; the sink's cursor does\n"
      "not move. A record of a submission takes the whole submission along. What is refused again\n"
      "waits again, with the new reason.\n\n"
      "Examples:\n"
      "  trialwire deadletter retry 12 13\n"
      "  trialwire deadletter retry --all --sink postgres\n\n"
      "Exit codes: 0 asked for, 1 not (no such id, or delivered already): then none of them is;\n"
      "2 wrong command line or settings.",
      arguments, run_retry);
  command->add_option("ids", arguments->ids, "As the list says");
  command->add_flag("--all", arguments->all, "Everything that waits");
  command->add_option("--sink", arguments->sink, "With --all: of this sink")
      ->type_name("NAME")
      ->check(CLI::IsMember(sink_names));
  command->add_option("--by", arguments->by, "Who decides [the account]")->type_name("NAME");
}

void add_discard(CLI::App& group, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = add_action(
      group, exit_code, "discard", "Decide that a sink need not have them",
      "Nothing is deleted: they stay here, and in the journal and its archive, with who decided\n"
      "and why. `retry` takes the decision back. A record of a submission takes the whole\n"
      "submission along.\n\n"
      "Examples:\n"
      "  trialwire deadletter discard 12 --reason 'test device, not of the study'\n\n"
      "Exit codes: 0 discarded, 1 not (no such id, or delivered already): then none of them is;\n"
      "2 wrong command line or settings.",
      arguments, run_discard);
  command->add_option("ids", arguments->ids, "As the list says")->required();
  command->add_option("--reason", arguments->reason, "Why; kept with them")
      ->type_name("TEXT")
      ->required()
      ->check([](const std::string& text) {
        return text.find_first_not_of(" \t\n") == std::string::npos ? "must say something" : "";
      });
  command->add_option("--by", arguments->by, "Who decides [the account]")->type_name("NAME");
}

}  // namespace

void add_deadletter_command(CLI::App& app, int& exit_code) {
  CLI::App* group = app.add_subcommand(
      "deadletter", "See what a sink refuses, have it delivered again or discard it");
  group->require_subcommand(1);
  group->footer(
      "A record that a database or Kafka will never take (a value that a column refuses, a "
      "message\n"
      "over the limit) is set aside in data_dir/deadletters.db, with the reason and the sender's\n"
      "bytes, so that those behind it go on. The metric trialwire_sink_dead_letters_waiting "
      "counts\n"
      "them. Works while the server runs, and without it.\n\n"
      "Examples:\n"
      "  trialwire deadletter list\n"
      "  trialwire deadletter show 12\n"
      "  trialwire deadletter retry --all --sink postgres\n"
      "  trialwire deadletter discard 12 --reason 'test device, not of the study'");
  add_list(*group, exit_code);
  add_show(*group, exit_code);
  add_retry(*group, exit_code);
  add_discard(*group, exit_code);
}

}  // namespace trialwire
