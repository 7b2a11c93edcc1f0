// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "base/private_file.hpp"
#include "commands.hpp"
#include "exit_code.hpp"
#include "loadgen/summary.hpp"
#include "settings_options.hpp"

namespace trialwire {
namespace {

std::atomic<bool> stop_requested = false;

void request_stop(int) {
  stop_requested.store(true);
}

// The first Ctrl-C ends the run and prints what was measured, the second one ends the process.
void stop_on_signals() {
  struct sigaction action{};
  action.sa_handler = request_stop;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

struct LoadArguments {
  loadgen::LoadOptions load;
  std::string url = "http://127.0.0.1:8080";
  std::string kind = "report";
  std::string path;
  std::string schedule = "poisson";
  std::string duration = "10s";
  std::string warmup = "0s";
  std::string timeout = "10s";
  std::string token_file;
  bool json = false;
  bool quiet = false;
};

constexpr std::string_view manual =
    R"(
Without --rate it is a closed loop: each connection sends its next request when it has an answer.
With --rate it is an open loop, as patients are: requests leave when they are due, and latency is
measured from then, so that a stalled server is charged for all that waited.

Generated records have all mandatory fields and some others, about 220 bytes; no two are the same,
also across runs.

Ctrl-C ends a run and prints what was measured so far; a second one ends it at once.

Examples:
  trialwire load --connections 256 --pipeline 16 --duration 30s
      how many reports a second can it take?
  trialwire load --connections 256 --rate 50000 --duration 1m --warmup 5s
      how long do patients wait at 50,000 reports a second?
  trialwire load --count 1000000 --connections 64 --receipts acked.ndjson
      one million reports; what was acknowledged is in acked.ndjson
  trialwire load https://gateway.example:8443 --cacert authority.pem --token-file token
      the same to a server with TLS and tokens
  trialwire load --ndjson 500 --connections 8
      bodies of 500 reports
  trialwire load --file reports.ndjson
      each line of the file once; .gz is fine
  trialwire load --file qs.csv.gz --map 'patientId=USUBJID,trialId=:CDISCPILOT01,'\
'timestamp={QSDTC}T00:00:00Z,qolScore=QSSTRESN,comments=QSTEST,answers.{QSTESTCD}=QSORRES'
      rows of a CSV file: FIELD=COLUMN, FIELD=:CONSTANT, or text with {COLUMN}, {#} (row number)
      and {run} (random for each run) in it; with ?COLUMN=VALUE behind, of the rows alone that
      have that value there
  trialwire load --kind qol --ndjson 500 --file qs.csv.gz --map 'patient_id=USUBJID,'\
'question_id=QSTESTCD,answer=QSSTRESN,submit_time={QSDTC}T00:00:00Z,instrument=QSCAT'
  trialwire load --kind vital --file vs.csv.gz --map 'deviceId=USUBJID,sequence=VSSEQ,'\
'timestamp={VSDTC}T00:00:00Z,systolic=VSORRES?VSTESTCD=SYSBP,units.systolic=VSORRESU?VSTESTCD=SYSBP'
      rows of other kinds

Exit codes:
  0  every request was answered with 2xx, and no line of NDJSON rejected
  1  a request or a line was refused or not answered, or a connection was lost
  2  the run could not start: no connection, an unreadable file, options that make no sense)";

void add_options(CLI::App& command, LoadArguments& arguments) {
  auto& load = arguments.load;
  command.add_option(
      "url", arguments.url,
      "Server, http://HOST:PORT[/PATH] or https [that of the settings' http.listen]");
  command
      .add_option("--cacert", load.authorities,
                  "Trust the authorities of this PEM file [the system's]")
      ->check(CLI::ExistingFile);
  command.add_flag("-k,--insecure", load.insecure, "Take any certificate of the server");
  command.add_option("--kind", arguments.kind, "What to send: report, qol, vital or metric")
      ->check(CLI::IsMember({"report", "qol", "vital", "metric"}))
      ->capture_default_str();
  command.add_option("--path", arguments.path, "Path to post to [that of the kind]");
  command.add_option("-c,--connections", load.connections, "Connections")->capture_default_str();
  command.add_option("-p,--pipeline", load.pipeline, "Requests in flight on each connection")
      ->capture_default_str();
  command.add_option("-r,--rate", load.rate, "Requests a second in all; 0: closed loop")
      ->capture_default_str();
  command.add_option("--schedule", arguments.schedule, "Arrivals of --rate: poisson or fixed")
      ->check(CLI::IsMember({"poisson", "fixed"}))
      ->capture_default_str();
  command.add_option("-d,--duration", arguments.duration, "Measured time, e.g. 30s or 2m")
      ->capture_default_str();
  command.add_option("-n,--count", load.count, "Requests in all, in place of --duration")
      ->check([](const std::string& count) {
        return count.find_first_not_of('0') == count.npos ? "must be at least 1" : std::string();
      });
  command.add_option("--warmup", arguments.warmup, "Time before measuring starts")
      ->capture_default_str();
  command.add_option("--timeout", arguments.timeout, "Give up a connection without an answer")
      ->capture_default_str();
  command.add_option("--threads", load.threads, "Threads; connections are shared out")
      ->capture_default_str();
  command.add_option("--ndjson", load.ndjson, "Records in a body, as NDJSON; 0: one JSON object")
      ->capture_default_str();
  command.add_flag("--gzip", load.gzip, "Compress bodies");
  command.add_option("-f,--file", load.file, "Send these records: NDJSON, or CSV with --map")
      ->check(CLI::ExistingFile);
  command.add_option("--map", load.mapping, "How CSV columns become fields; see the examples");
  command.add_option("--receipts", load.receipts, "Write each acknowledged record's ids here");
  command.add_option("--token-file", arguments.token_file,
                     "Bearer token of every request, in a file of mode 0600");
  command.add_flag("--reconnect", load.reconnect, "Open lost connections again");
  command.add_flag("--json", arguments.json, "Print the result as one JSON object");
  command.add_flag("-q,--quiet", arguments.quiet, "No progress line");
}

Result<void> settle(LoadArguments& arguments, const CLI::App& command) {
  auto& load = arguments.load;
  if (auto applied = loadgen::apply_url(arguments.url, load); !applied) return applied;
  load.kind = *loadgen::parse_kind(arguments.kind);
  if (!arguments.path.empty()) load.path = arguments.path;
  if (arguments.schedule == "fixed") load.arrivals = loadgen::Arrivals::fixed;
  const std::pair<const std::string&, std::chrono::nanoseconds&> durations[] = {
      {arguments.duration, load.duration},
      {arguments.warmup, load.warmup},
      {arguments.timeout, load.timeout}};
  for (const auto& [text, value] : durations) {
    auto parsed = loadgen::parse_duration(text);
    if (!parsed) return std::unexpected(parsed.error());
    value = *parsed;
  }
  if (!arguments.token_file.empty()) {
    constexpr std::size_t token_bytes_max = 64 << 10;
    auto token = read_guarded_file(arguments.token_file, FileAccess::secret, token_bytes_max);
    if (!token) return std::unexpected(token.error());
    load.token = token->substr(0, token->find_first_of("\r\n"));
  }
  load.once =
      !load.file.empty() && command.count("--duration") == 0 && command.count("--count") == 0;
  return {};
}

/// The server of these settings, unless a URL was given.
bool take_settings(LoadArguments& arguments, const SettingsOptions& options,
                   const CLI::App& command) {
  const auto settings = load_settings(options);
  if (!settings) return false;
  if (command.count("url") == 0 && !settings->http.listen.empty()) {
    arguments.url =
        (settings->http.tls.cert.empty() ? "http://" : "https://") + settings->http.listen;
  }
  return true;
}

int execute(LoadArguments& arguments, const CLI::App& command) {
  const auto refuse = [](const Error& error) {
    fmt::print(stderr, "trialwire load: {}\n", error.text);
    return exit_usage;
  };
  if (auto settled = settle(arguments, command); !settled) return refuse(settled.error());
  const bool shows_progress = !arguments.quiet && ::isatty(STDERR_FILENO) == 1;
  loadgen::ProgressView before;
  // Before, a signal ends the process: there is nothing to print yet.
  loadgen::LoadHooks hooks{
      .stop = stop_requested, .on_progress = {}, .on_connected = stop_on_signals};
  if (shows_progress) {
    hooks.on_progress = [&before](const loadgen::ProgressView& now) {
      fmt::print(stderr, "\r{:<79}", loadgen::progress_line(now, before));
      before = now;
    };
  }
  const auto result = loadgen::run_load(arguments.load, hooks);
  if (shows_progress) fmt::print(stderr, "\r{:<79}\r", "");
  if (!result) return refuse(result.error());
  if (arguments.json) {
    fmt::print("{}\n", loadgen::summary_json(*result));
  } else {
    fmt::print("{}", loadgen::summary_text(*result));
  }
  return loadgen::flawless(*result) ? exit_ok : exit_failed;
}

}  // namespace

void add_load_command(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("load", "Send records to a server and measure how it answers");
  command->footer(std::string(manual));
  auto arguments = std::make_shared<LoadArguments>();
  add_options(*command, *arguments);
  auto settings = add_settings_options(*command);
  command->callback([arguments, settings, command, &exit_code] {
    const bool known = take_settings(*arguments, *settings, *command);
    exit_code = known ? execute(*arguments, *command) : static_cast<int>(exit_usage);
  });
}

}  // namespace trialwire
