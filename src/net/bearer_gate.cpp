// SPDX-License-Identifier: Apache-2.0
#include "net/bearer_gate.hpp"

#include <expected>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/check.hpp"
#include "runtime/shard.hpp"

namespace trialwire::net {
namespace {

using auth::Refusal;

/// The one Authorization header; empty: there is none. Which of two is meant is a guess, and
/// someone on the way may have guessed otherwise.
std::expected<std::string_view, Refusal> credentials(const Request& request) noexcept {
  constexpr std::string_view name = "authorization";
  std::string_view value;
  bool found = false;
  for (const HeaderField& header : request.headers) {
    if (header.name.size() != name.size() || !equal_ignoring_case(header.name, name)) continue;
    if (found) return std::unexpected(Refusal::ambiguous);
    found = true;
    value = header.value;
  }
  return value;
}

std::string errors_json(std::string_view field, std::string_view rule, std::string_view message) {
  return fmt::format(R"("errors":[{{"field":"{}","rule":"{}","message":"{}"}}])", field, rule,
                     message);
}

void answer_401(ResponseWriter& writer, Refusal refusal) {
  std::string challenge = R"(Bearer realm="trialwire")";
  // Who has sent no token is told no more than how to send one (RFC 6750, 3.1).
  if (refusal != Refusal::missing) {
    challenge +=
        fmt::format(R"(, error="invalid_token", error_description="{}")", auth::text_of(refusal));
  }
  writer.start(401).header("WWW-Authenticate", challenge);
  writer.problem_body(auth::text_of(refusal), errors_json("Authorization", auth::label_of(refusal),
                                                          auth::text_of(refusal)));
}

void answer_403(ResponseWriter& writer, auth::Scope scope) {
  std::string_view name = auth::name_of(scope);
  writer.start(403).header(
      "WWW-Authenticate",
      fmt::format(R"(Bearer realm="trialwire", error="insufficient_scope", scope="{}")", name));
  std::string message = fmt::format("must include {}", name);
  writer.problem_body("scope: " + message, errors_json("scope", "required", message));
}

void answer_403(ResponseWriter& writer, const RouteOptions& wanted, std::string_view role) {
  writer.start(403).header(
      "WWW-Authenticate",
      fmt::format(R"(Bearer realm="trialwire", error="insufficient_scope", scope="{}")",
                  auth::name_of(wanted.scope)));
  std::string message = fmt::format("must include {}", role);
  writer.problem_body("roles: " + message, errors_json("roles", "required", message));
}

}  // namespace

BearerGate::BearerGate(const auth::Authenticator::Options& options, auth::KeyRing& keys,
                       std::size_t shards, telemetry::Registry& metrics) {
  metrics.gauge("trialwire_auth_cache_bytes_max", "Limit of the memory of verified tokens.")
      .set(static_cast<double>(options.cache_bytes_max * shards));
  for (std::size_t i = 0; i < shards; ++i) {
    authenticators_.push_back(std::make_unique<auth::Authenticator>(options, keys, metrics));
  }
}

const auth::Principal* BearerGate::admit(const Request& request, const Route& route,
                                         runtime::Shard& shard, ResponseWriter& writer) {
  TW_CHECK(shard.index() < authenticators_.size());
  auth::Authenticator& authenticator = *authenticators_[shard.index()];
  const auto tell = [&](Refusal why, const auth::Principal* who) {
    if (listener_ != nullptr) listener_->refused(why, who, request, route, shard);
  };
  auto value = credentials(request);
  if (!value) {
    authenticator.refused(value.error());
    tell(value.error(), nullptr);
    answer_401(writer, value.error());
    return nullptr;
  }
  auto principal = authenticator.authenticate(*value, shard.unix_now_ns());
  if (!principal) {
    tell(principal.error(), nullptr);
    answer_401(writer, principal.error());
    return nullptr;
  }
  if (!(*principal)->scopes.has(route.options.scope)) [[unlikely]] {
    authenticator.refused(Refusal::scope);
    tell(Refusal::scope, *principal);
    answer_403(writer, route.options.scope);
    return nullptr;
  }
  const std::string_view role = route.options.role;
  if (!role.empty() && !(*principal)->has_role(role)) [[unlikely]] {
    authenticator.refused(Refusal::role);
    tell(Refusal::role, *principal);
    answer_403(writer, route.options, role);
    return nullptr;
  }
  return *principal;
}

}  // namespace trialwire::net
