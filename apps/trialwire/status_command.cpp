// SPDX-License-Identifier: Apache-2.0
// `trialwire status`: what a running server does, as its admin port says.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "admin_client.hpp"
#include "admin_gate.hpp"
#include "commands.hpp"
#include "exit_code.hpp"
#include "metrics_text.hpp"
#include "settings_options.hpp"
#include "status_page.hpp"

namespace trialwire {
namespace {

using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string admin;
  std::string token_file;  // empty: admin.token_file
  double interval = 1;     // seconds
  bool watch = false;
};

struct Look {
  MetricsPage page;
  std::string readiness;
  Clock::time_point at;
};

volatile std::sig_atomic_t interrupted = 0;

void interrupt(int) {
  interrupted = 1;
}

/// A terminal for as long as it is watched: no cursor, and each page in the place of the last one.
class Screen {
 public:
  explicit Screen(bool is_terminal) : is_terminal_(is_terminal) {
    if (is_terminal_) fmt::print("\x1b[?25l\x1b[2J");
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen() {
    if (is_terminal_) fmt::print("\x1b[?25h");
    std::fflush(stdout);
  }
  void show(std::string page) const {
    if (is_terminal_) {
      // What was longer before ends here, line by line: nothing flickers.
      for (std::size_t at = 0; (at = page.find('\n', at)) != std::string::npos; at += 4) {
        page.insert(at, "\x1b[K");
      }
      fmt::print("\x1b[H{}\x1b[J", page);
    } else {
      fmt::print("{}\n", page);
    }
    std::fflush(stdout);
  }

 private:
  bool is_terminal_;
};

Result<Look> look_at(const AdminPort& port) {
  auto text = ask_admin(port, "/metrics");
  if (!text) return std::unexpected(text.error());
  const Clock::time_point at = Clock::now();
  auto readiness = ask_readiness(port);
  if (!readiness) return std::unexpected(readiness.error());
  return Look{MetricsPage(*text), std::move(*readiness), at};
}

std::string page_of(const std::optional<Look>& before, const Look& now, bool color) {
  const Look& first = before ? *before : now;
  return status_page({first.page, now.page, now.at - first.at, now.readiness}, {.color = color});
}

int refuse(const Error& error) {
  fmt::print(stderr, "trialwire: {}\n", error.text);
  return exit_failed;
}

void wait(std::chrono::duration<double> time) {
  const auto until = Clock::now() + std::chrono::ceil<Clock::duration>(time);
  while (interrupted == 0 && Clock::now() < until) {
    std::this_thread::sleep_for(
        std::min<Clock::duration>(until - Clock::now(), std::chrono::milliseconds(50)));
  }
}

int show_once(const AdminPort& port, std::chrono::duration<double> interval, bool color) {
  auto before = look_at(port);
  if (!before) return refuse(before.error());
  wait(interval);
  auto now = look_at(port);
  if (!now) return refuse(now.error());
  fmt::print("{}", page_of(std::move(*before), *now, color));
  return exit_ok;
}

/// Until it is interrupted; a server that is gone for a while is waited for.
int watch(const AdminPort& port, std::chrono::duration<double> interval, bool terminal) {
  std::signal(SIGINT, interrupt);
  std::signal(SIGTERM, interrupt);
  Screen screen(terminal);
  std::optional<Look> before;
  while (interrupted == 0) {
    auto now = look_at(port);
    if (now) {
      screen.show(page_of(before, *now, terminal) +
                  fmt::format("\n{}, every {:g} s; Ctrl-C ends\n", port.address, interval.count()));
      before = std::move(*now);
    } else {
      screen.show(fmt::format("trialwire: {}\n\nasked again every {:g} s; Ctrl-C ends\n",
                              now.error().text, interval.count()));
      before.reset();
    }
    wait(before ? interval : std::chrono::duration<double>(std::max(interval.count(), 1.0)));
  }
  return exit_ok;
}

int run(const config::Settings& settings, const Arguments& arguments) {
  AdminPort port{.address = arguments.admin, .token = {}};
  if (port.address.empty()) {
    auto published = published_admin_address(settings.data_dir);
    if (!published) return refuse(published.error());
    port.address = *published;
  }
  const std::string& token_file =
      arguments.token_file.empty() ? settings.admin.token_file : arguments.token_file;
  if (!token_file.empty()) {
    auto token = read_admin_token(token_file);
    if (!token) return refuse(token.error());
    port.token = std::move(*token);
  }
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  const std::chrono::duration<double> interval(arguments.interval);
  return arguments.watch ? watch(port, interval, terminal) : show_once(port, interval, terminal);
}

}  // namespace

void add_status_command(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("status", "Show what a running server does: intake, journal, sinks");
  command->footer(
      "Asks the admin port twice, a second apart, and prints rates of that second, what the "
      "journal\n"
      "holds, and a line for each lane of each sink:\n\n"
      "  state        running; paused (leaves the processor to intake); retrying (time may heal\n"
      "               it); stuck (look at the log and at `trialwire deadletter`); starting (it "
      "has\n"
      "               not said where it is)\n"
      "  lag          records, bytes and age of what the sink does not have yet\n"
      "  delivered/s  records, how many a batch had, how long it took, all of that second\n"
      "  retries      failed attempts since the start; dead: records set aside since the start\n\n"
      "Below it, what is not ready and why.\n"
      "The address is that of the server on data_dir, or what --admin says; its token, where it\n"
      "wants one, that of admin.token_file, or what --admin-token-file says.\n\n"
      "Examples:\n"
      "  trialwire status\n"
      "  trialwire status --watch\n"
      "  trialwire status --admin 10.0.0.7:6060 --watch --interval 5\n\n"
      "Exit codes: 0 shown, 1 no server answers, 2 wrong command line or settings.");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("--admin", arguments->admin, "Address of the admin port")
      ->type_name("HOST:PORT")
      ->check(wrong_admin_address);
  command
      ->add_option("--admin-token-file", arguments->token_file,
                   "File of the admin port's token, mode 0600")
      ->type_name("FILE");
  command->add_flag("--watch", arguments->watch, "Go on, the page in place of the last one");
  command->add_option("--interval", arguments->interval, "Seconds between two looks [1]")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 3600.0));
  auto options = add_settings_options(*command);
  command->callback([options, arguments, &exit_code] {
    auto settings = load_settings(*options);
    exit_code = settings ? run(*settings, *arguments) : static_cast<int>(exit_usage);
  });
}

}  // namespace trialwire
