// SPDX-License-Identifier: Apache-2.0
// `trialwire discovery`: which servers etcd knows by which name.
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "commands.hpp"
#include "discovery/etcd_endpoints.hpp"
#include "exit_code.hpp"
#include "serve_discovery.hpp"
#include "settings_options.hpp"
#include "telemetry/log.hpp"

namespace trialwire {
namespace {

struct Arguments {
  std::vector<std::string> names;  // none: those of the settings
  bool watch = false;
};

int refuse(std::string_view why, int code) {
  fmt::print(stderr, "trialwire: {}\n", why);
  return code;
}

void print(const std::string& name, const outbound::EndpointList& list) {
  fmt::print("{}", name);
  for (const outbound::Endpoint& endpoint : list) fmt::print(" {}", endpoint.authority);
  fmt::print("\n");
  std::fflush(stdout);
}

int show_once(EtcdConnection& asked, const std::vector<std::string>& names) {
  discovery::EtcdClient client(asked.etcd, asked.target, {});
  for (const std::string& name : names) {
    auto found = client.get_prefix(name + "/");
    if (!found) return refuse(found.error().text, exit_failed);
    outbound::EndpointList list;
    for (const discovery::KeyValue& item : found->items) list.push_back({item.value, {}});
    print(name, list);
  }
  return exit_ok;
}

/// Until it is interrupted.
int watch(EtcdConnection& asked, const config::DiscoverySettings& settings,
          const std::vector<std::string>& names) {
  struct Followed {
    std::string name;
    std::unique_ptr<discovery::EtcdEndpoints> endpoints;
    std::shared_ptr<const outbound::EndpointList> shown;  // the source's, kept to compare
  };
  std::vector<Followed> all;
  for (const std::string& name : names) {
    auto followed = std::make_unique<discovery::EtcdEndpoints>(
        discovery::EtcdEndpointsOptions{
            .name = name,
            .refresh = std::chrono::ceil<std::chrono::milliseconds>(settings.refresh),
            .etcd = asked.etcd},
        asked.target, asked.metrics);
    auto shown = followed->endpoints();
    all.push_back({name, std::move(followed), std::move(shown)});
  }
  for (;;) {
    for (Followed& one : all) {
      auto now = one.endpoints->endpoints();
      if (now == one.shown) continue;
      print(one.name, *now);
      one.shown = std::move(now);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

int run(const config::Settings& settings, Arguments arguments) {
  if (settings.discovery.etcd.empty()) return refuse("set discovery.etcd", exit_usage);
  auto made = etcd_target(settings);
  if (!made) return refuse(made.error().text, exit_usage);
  if (arguments.names.empty()) arguments.names = discovery_names(settings.discovery.keys);
  EtcdConnection asked(std::move(*made));
  return arguments.watch ? watch(asked, settings.discovery, arguments.names)
                         : show_once(asked, arguments.names);
}

}  // namespace

void add_discovery_command(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("discovery", "Show which servers etcd knows by which name");
  command->footer(
      "A line for each name: the name, and the addresses that are registered by it. Without names\n"
      "those of discovery.keys are shown. With --watch a line is printed when a list changes; the\n"
      "last one stays while etcd is away, as it does for clients.\n\n"
      "Examples:\n"
      "  trialwire discovery --set discovery.etcd=127.0.0.1:2379\n"
      "  trialwire discovery --config trialwire.yaml --watch collection.rpc\n\n"
      "Exit codes: 0 shown, 1 etcd does not answer, 2 wrong command line or settings.");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("NAME", arguments->names, "Names of services, such as collection.rpc");
  command->add_flag("--watch", arguments->watch, "Go on, a line for each change");
  auto options = add_settings_options(*command);
  command->callback([options, arguments, &exit_code] {
    auto settings = load_settings(*options);
    exit_code = settings ? run(*settings, *arguments) : static_cast<int>(exit_usage);
  });
}

}  // namespace trialwire
