// SPDX-License-Identifier: Apache-2.0
#include "config/schema.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "config/schema_rows.hpp"

namespace trialwire::config {
namespace {

std::vector<Descriptor> make_rows() {
  using namespace schema;
  std::vector<Descriptor> rows;
  add_general(rows);
  add_listeners(rows);
  add_ingest(rows);
  add_journal(rows);
  add_archive(rows);
  add_pipeline(rows);
  add_stores(rows);
  add_kafka(rows);
  add_limits(rows);
  add_overload(rows);
  add_breaker(rows);
  add_auth(rows);
  add_audit(rows);
  add_discovery(rows);
  add_services(rows);
  add_trace(rows);
  add_log(rows);
  return rows;
}

}  // namespace

std::span<const Descriptor> descriptors() {
  static const std::vector<Descriptor> rows = make_rows();
  return rows;
}

std::string_view section_of(std::string_view path) {
  std::size_t dot = path.find('.');
  return dot == std::string_view::npos ? std::string_view{} : path.substr(0, dot);
}

std::string_view section_help(std::string_view section) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 19> lines{{
      {"", "Of the whole program."},
      {"runtime", "Threads, and how the process ends."},
      {"http", "The listener for clients."},
      {"admin", "The listener for operators."},
      {"ingest", "What intake makes of a body."},
      {"journal", "The durable log that acknowledges."},
      {"archive", "Where full segments of the journal are kept for good."},
      {"dedupe", "How retries are recognised."},
      {"pipeline", "From the journal to the sinks."},
      {"store", "Where reports are queried."},
      {"kafka", "Events of records, for who reacts to them."},
      {"limits", "What one client, and all of them, may take."},
      {"breaker",
       "When what fails is no longer called: databases, Kafka, queries, other servers, and "
       "clients' "
       "routes."},
      {"auth", "Who clients are, and what they may do (docs/security.md)."},
      {"audit",
       "The audit trail (docs/decisions/audit.md); there is no setting that switches it off."},
      {"discovery", "Where other processes find this one: etcd."},
      {"services", "Servers that are called over HTTP: identity providers, etcd."},
      {"trace", "Which requests are followed from their arrival to the sinks."},
      {"log", "The log; it never holds patient data."},
  }};
  auto found =
      std::ranges::find(lines, section, &std::pair<std::string_view, std::string_view>::first);
  TW_CHECK(found != lines.end());
  return found->second;
}

std::string shown_value(const Descriptor& descriptor, const Settings& settings) {
  Value value = descriptor.get(settings);
  if (descriptor.secret) {
    auto& text = std::get<std::string>(value);
    text = descriptor.constraint.kind == Kind::url ? mask_url(text) : text.empty() ? "" : "***";
  }
  return format_value(descriptor.constraint.kind, value);
}

}  // namespace trialwire::config
