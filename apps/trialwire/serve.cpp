// SPDX-License-Identifier: Apache-2.0
#include "serve.hpp"

#include <chrono>
#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "base/rfc3339.hpp"
#include "exit_code.hpp"
#include "open_files.hpp"
#include "runtime/service_manager.hpp"
#include "serve_options.hpp"
#include "serving.hpp"
#include "stop_signal.hpp"
#include "telemetry/log.hpp"
#include "version.hpp"

namespace trialwire {
namespace {

using telemetry::log;
using telemetry::LogLevel;

/// One line on stderr, as JSON when the log is and is there; in the log's file, once it is open,
/// too.
int refuse(const config::Settings& settings, std::string_view why, bool file_open) {
  bool json = settings.log.format == config::LogFormat::json;
  if (json || file_open) log(LogLevel::error, "serve", "cannot start", {{"reason", why}});
  if (!json || file_open) fmt::print(stderr, "trialwire: {}\n", why);
  return exit_failed;
}

/// An address to connect to: of "any" that is this machine.
std::string reachable(const std::string& address) {
  if (address.starts_with("0.0.0.0:")) return "127.0.0.1" + address.substr(7);
  if (address.starts_with("[::]:")) return "[::1]" + address.substr(4);
  return address;
}

void print_welcome(const config::Settings& settings, const Serving& serving) {
  auto addresses = serving.addresses();
  if (!addresses.admin.empty()) {
    fmt::print("operators: curl -s http://{}/readyz\n", reachable(addresses.admin));
  }
  if (addresses.http.empty()) return;
  const std::string& cert = settings.http.tls.cert;
  const std::string curl =
      cert.empty() ? "curl -s http" : fmt::format("curl -s --cacert {} https", cert);
  if (!has_role(settings, config::Role::gateway)) {
    fmt::print(
        "queries:   {}://{}/v1/epro/reports{}\n", curl, reachable(addresses.http),
        settings.auth.mode == config::AuthMode::jwt ? " -H \"Authorization: Bearer $TOKEN\"" : "");
    std::fflush(stdout);
    return;
  }
  auto now = std::chrono::system_clock::now().time_since_epoch();
  const bool tokens = settings.auth.mode == config::AuthMode::jwt;
  fmt::print(
      "reports:   {}://{}/v1/epro/reports {}-H 'Content-Type: application/json' -d "
      "'{{\"patientId\":\"P-1\",\"trialId\":\"T-1\",\"timestamp\":\"{}\",\"qolScore\":7}}'\n",
      curl, reachable(addresses.http), tokens ? "-H \"Authorization: Bearer $TOKEN\" " : "",
      format_rfc3339_ms(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()));
  std::fflush(stdout);
}

void log_start(const config::Settings& settings) {
  log(LogLevel::info, "serve", "starting",
      {{"version", product_version()},
       {"compiler", compiler_version()},
       {"simdjson", simdjson_implementation()},
       {"data_dir", settings.data_dir}});
  const std::uint64_t files = raise_open_files();
  const std::uint64_t wanted = settings.limits.connections;
  if (const std::uint64_t held = connections_within(files, wanted); held < wanted) {
    log(LogLevel::warn, "serve", "fewer connections than limits.connections: too few open files",
        {{"connections", held},
         {"limits.connections", wanted},
         {"open_files", files},
         {"kept_for_files", files_kept(files)}});
  }
  if (settings.journal.sync == config::JournalSync::none) {
    log(LogLevel::warn, "serve", "journal.sync is none: a power cut loses acknowledged reports");
  }
}

void log_ready(const Serving& serving) {
  auto addresses = serving.addresses();
  auto journal = serving.journal_status();
  if (journal.id == Uuid{}) {  // there is no gateway
    log(LogLevel::info, "serve", "ready", {{"http", addresses.http}, {"admin", addresses.admin}});
    return;
  }
  log(LogLevel::info, "serve", "ready",
      {{"http", addresses.http},
       {"admin", addresses.admin},
       {"shards", serving.shards()},
       {"journal", journal.id.text()},
       {"epoch", journal.epoch},
       {"next_sequence", journal.next_sequence},
       {"io", journal.direct_io ? "direct" : "buffered"}});
}

}  // namespace

int serve(const config::Settings& settings, journal::FileLayer& files) {
  StopSignal signal;
  auto options = log_options(settings);
  std::string log_file = std::exchange(options.file, "");
  bool file_open = false;
  auto refused = [&](std::string_view why) { return refuse(settings, why, file_open); };
  if (auto configured = telemetry::configure_log(options); !configured) {
    return refused(configured.error().text);
  }
  if (simdjson_implementation() == "fallback") {
    return refused("this processor has none of the instructions that JSON is read with");
  }
  Serving serving(settings, files);
  if (auto claimed = serving.claim(); !claimed) return refused(claimed.error().text);
  // Only now: until ports and directory are this process's, the file may be another's log.
  options.file = log_file;
  if (auto opened = telemetry::configure_log(options); !opened) {
    return refused(opened.error().text);
  }
  file_open = !log_file.empty();
  log_start(settings);
  if (auto prepared = serving.prepare(); !prepared) return refused(prepared.error().text);
  serving.on_committed(StopSignal::committed);
  signal.arm();
  if (auto started = serving.start(); !started) return refused(started.error().text);
  log_ready(serving);
  const auto addresses = serving.addresses();
  runtime::notify_ready(fmt::format("HTTP on {}, operators on {}",
                                    addresses.http.empty() ? "none" : addresses.http,
                                    addresses.admin.empty() ? "none" : addresses.admin));
  if (settings.log.format == config::LogFormat::plain) print_welcome(settings, serving);

  int number = signal.wait([&serving](int asked) { serving.look_inside(asked); });
  constexpr std::chrono::seconds grace{3};  // for a disk that is slow to take the last batch
  signal.limit(settings.runtime.drain + grace);
  log(LogLevel::info, "serve", "stopping", {{"signal", number}});
  runtime::notify_stopping();
  serving.stop();
  log(LogLevel::info, "serve", "stopped",
      {{"next_sequence", serving.journal_status().next_sequence}});
  return exit_ok;
}

}  // namespace trialwire
