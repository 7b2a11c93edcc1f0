// SPDX-License-Identifier: Apache-2.0
#include "admin.hpp"

#include <algorithm>
#include <optional>
#include <ranges>
#include <utility>

#include <fmt/format.h>

#include "net/exchange.hpp"
#include "operator_log.hpp"
#include "telemetry/log.hpp"

namespace trialwire {
namespace {

constexpr std::size_t module_bytes_max = 32;
constexpr std::string_view plain = "text/plain; charset=utf-8";
constexpr std::string_view prometheus = "text/plain; version=0.0.4; charset=utf-8";

/// Level and module of "level=debug&module=net"; nothing when it is another query.
std::optional<std::pair<telemetry::LogLevel, std::string>> log_change(std::string_view query) {
  std::optional<telemetry::LogLevel> level;
  std::string module;
  for (const auto part : std::views::split(query, '&')) {
    const std::string_view text(part);
    const std::size_t equals = std::min(text.find('='), text.size());
    const auto value = net::url_decode(text.substr(std::min(equals + 1, text.size())), true);
    if (!value || value->empty()) return std::nullopt;
    if (text.substr(0, equals) == "level") {
      level = telemetry::log_level_of(*value);
      if (!level) return std::nullopt;
    } else if (text.substr(0, equals) == "module" && value->size() <= module_bytes_max) {
      module = *value;
    } else {
      return std::nullopt;
    }
  }
  if (!level) return std::nullopt;
  return std::pair(*level, module);
}

void change_log_level(const AdminSources& sources, net::Exchange& exchange) {
  auto why = audit_reason_of(exchange);
  if (!why) return;
  const auto asked = log_change(exchange.request().query);
  if (!asked) {
    return exchange.fail(
        {ErrorCode::invalid_argument,
         "level must be trace, debug, info, warn, error or off; module may name one"});
  }
  const auto& [level, module] = *asked;
  const std::string of = module.empty() ? "all" : module;
  SettingChange change{
      .name = module.empty() ? "log.level" : fmt::format("log.level of {}", module),
      .old_value = std::string(name_of(telemetry::log_level(module))),
      .new_value = std::string(name_of(level)),
      .why = std::move(*why),
      .answer = fmt::format("{} from {}\n", of, name_of(level)),
      .apply = [level, module, of] {
        telemetry::log(telemetry::LogLevel::warn, "serve", "what is logged was changed",
                       {{"level", name_of(level)}, {"of", of}});
        telemetry::set_log_level(module, level);
      }};
  if (sources.changes != nullptr) return sources.changes->change(exchange, std::move(change));
  change.apply();
  exchange.respond(200, plain, change.answer);
}

}  // namespace

ReadinessPage readiness_page(const std::vector<ReadinessCheck>& checks) {
  ReadinessPage page;
  for (const ReadinessCheck& check : checks) {
    std::string_view verdict = check.ok ? "ok" : check.required ? "failed" : "degraded";
    fmt::format_to(std::back_inserter(page.text), "{} {}{}{}\n", check.name, verdict,
                   check.detail.empty() ? "" : ": ", check.detail);
    page.ready = page.ready && (check.ok || !check.required);
  }
  return page;
}

Result<void> add_admin_routes(net::Router& router, const AdminSources& sources) {
  auto added = router.add(net::Method::get, "/healthz",
                          [](net::Exchange& exchange) { exchange.respond(200, plain, "ok\n"); });
  if (!added) return added;
  added = router.add(net::Method::get, "/readyz", [&sources](net::Exchange& exchange) {
    auto page = readiness_page(sources.checks());
    exchange.respond(page.ready ? 200 : 503, plain, page.text);
  });
  if (!added) return added;
  added = router.add(net::Method::get, "/metrics", [&sources](net::Exchange& exchange) {
    exchange.respond(200, prometheus, sources.metrics->text());
  });
  if (!added) return added;
  added = router.add(net::Method::get, "/debug/config", [&sources](net::Exchange& exchange) {
    exchange.respond(200, "application/yaml", sources.config());
  });
  if (!added) return added;
  return router.add(net::Method::put, "/debug/log",
                    [&sources](net::Exchange& exchange) { change_log_level(sources, exchange); });
}

}  // namespace trialwire
