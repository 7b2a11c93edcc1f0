// SPDX-License-Identifier: Apache-2.0
#include "admin.hpp"

#include <fmt/format.h>

#include "net/exchange.hpp"

namespace trialwire {
namespace {

constexpr std::string_view plain = "text/plain; charset=utf-8";
constexpr std::string_view prometheus = "text/plain; version=0.0.4; charset=utf-8";

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
  return router.add(net::Method::get, "/metrics", [&sources](net::Exchange& exchange) {
    exchange.respond(200, prometheus, sources.metrics->text());
  });
}

}  // namespace trialwire
