// SPDX-License-Identifier: Apache-2.0
// `trialwire serve` whose journal is on a disk that loses what a power cut may lose: everything
// else is the real program. The disk is in memory; what a cut left of it is kept in the directory
// IMAGE, and is the disk of the next start.
//
//   faulty_server IMAGE SEED FAULT [--set KEY=VALUE]...
//   FAULT  none         nothing fails
//          write:N      the N-th write to a segment after the server is up fails with EIO
//          sync:N       likewise the N-th sync
//          room:BYTES   the disk holds no more, until SIGHUP
//          slow:MS      each sync of a segment takes so long, until SIGHUP
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "exit_code.hpp"
#include "serve.hpp"
#include "settings_options.hpp"
#include "support/faulty_files.hpp"

namespace {

using std::filesystem::path;
using trialwire::support::FaultyFiles;
using trialwire::support::FileBytes;

struct Arguments {
  std::string image;
  std::uint64_t seed = 1;
  std::string fault = "none";
};

// What the exit handler and the signal handler reach.
FaultyFiles* disk = nullptr;
path image;
std::atomic<bool> recovers{false};

/// "/data/journal/x" is kept as IMAGE/%data%journal%x.
std::string flat_name(std::string name) {
  std::ranges::replace(name, '/', '%');
  return name;
}

void load_image() {
  for (const auto& entry : std::filesystem::directory_iterator(image)) {
    std::string name = entry.path().filename().string();
    std::ranges::replace(name, '%', '/');
    std::ifstream file(entry.path(), std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    auto bytes = std::as_bytes(std::span(text));
    disk->put(name, FileBytes(bytes.begin(), bytes.end()));
  }
}

/// The process ends, the disk stays.
void save_image() {
  disk->kill();
  disk->restart();
  std::filesystem::remove_all(image);
  std::filesystem::create_directories(image);
  for (const auto& name : disk->paths()) {
    auto bytes = disk->contents(name).value_or(FileBytes{});
    std::ofstream(image / flat_name(name), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
}

void arm(const std::string& fault) {
  std::size_t colon = fault.find(':');
  if (colon == std::string::npos) return;
  std::uint64_t number = 0;
  std::from_chars(fault.data() + colon + 1, fault.data() + fault.size(), number);
  std::string_view kind = std::string_view(fault).substr(0, colon);
  if (kind == "write") disk->write_error_in(number);
  if (kind == "sync") disk->sync_error_in(number);
  if (kind == "room") disk->set_capacity(number);
  if (kind == "slow") disk->set_sync_time(std::chrono::milliseconds(number));
}

/// Faults begin when the server is up: a start that fails is another test's.
void inject(const std::stop_token& stop, const path& ports, const std::string& fault) {
  bool armed = false;
  while (!stop.stop_requested()) {
    if (!armed && std::filesystem::exists(ports)) {
      arm(fault);
      armed = true;
    }
    if (recovers.exchange(false)) {
      disk->set_capacity(1ULL << 40);
      disk->set_sync_time({});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

int run(const Arguments& arguments, const trialwire::SettingsOptions& options) {
  auto settings = trialwire::load_settings(options);
  if (!settings) return trialwire::exit_usage;
  trialwire::support::FaultyOptions disk_options;
  disk_options.seed = arguments.seed;
  if (!arguments.fault.starts_with("room")) {
    disk_options.errors_only_in = (path(settings->data_dir) / "journal/segment-").native();
    disk_options.errors_in_temporary = false;
  }
  FaultyFiles files(disk_options);
  disk = &files;
  image = arguments.image;
  std::filesystem::create_directories(image);
  load_image();
  std::at_quick_exit(save_image);
  std::signal(SIGHUP, [](int) { recovers.store(true); });
  path ports = path(settings->data_dir) / "run/ports.json";
  std::filesystem::remove(ports);
  std::jthread injector([&](const std::stop_token& stop) { inject(stop, ports, arguments.fault); });
  int code = trialwire::serve(*settings, files);
  save_image();
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A server on a disk that fails"};
  Arguments arguments;
  app.add_option("image", arguments.image)->required();
  app.add_option("seed", arguments.seed)->required();
  app.add_option("fault", arguments.fault)->required();
  auto options = trialwire::add_settings_options(app);
  CLI11_PARSE(app, argc, argv);
  return run(arguments, *options);
}
