// SPDX-License-Identifier: Apache-2.0
#include "token_claims.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "auth/claim_reader.hpp"
#include "base/rfc3339.hpp"

namespace trialwire {
namespace {

namespace json = boost::json;

std::string unescaped(std::string_view segment) {
  std::string name;
  for (std::size_t i = 0; i < segment.size(); ++i) {
    if (segment[i] == '~' && i + 1 < segment.size()) {
      name += segment[++i] == '1' ? '/' : '~';
    } else {
      name += segment[i];
    }
  }
  return name;
}

/// Puts a value where a claim is; false when something is there already.
bool put(json::object& claims, std::string_view name, json::value value) {
  std::string pointer = auth::claim_pointer(name);
  std::string_view rest = std::string_view(pointer).substr(1);
  json::object* object = &claims;
  for (std::size_t slash = rest.find('/'); slash != std::string_view::npos;
       slash = rest.find('/')) {
    json::value& inner = (*object)[unescaped(rest.substr(0, slash))];
    if (inner.is_null()) inner.emplace_object();
    if (!inner.is_object()) return false;
    object = &inner.get_object();
    rest.remove_prefix(slash + 1);
  }
  return object->emplace(unescaped(rest), std::move(value)).second;
}

json::array array_of(const std::vector<std::string>& texts) {
  json::array list;
  for (const std::string& text : texts) list.emplace_back(text);
  return list;
}

std::string words_of(const std::vector<std::string>& texts) {
  return fmt::format("{}", fmt::join(texts, " "));
}

json::value named_json(const auth::Named& named) {
  if (named.kind == auth::Named::Kind::absent) return nullptr;
  if (named.kind == auth::Named::Kind::all) return "*";
  return array_of(named.names);
}

std::string time_text(std::int64_t seconds) {
  constexpr std::int64_t second_ns = 1'000'000'000;
  constexpr std::int64_t last_s = 9'000'000'000;  // of what nanoseconds can tell
  return format_rfc3339_ms(std::min(seconds, last_s) * second_ns);
}

}  // namespace

Result<std::string> claims_json(const TokenContent& content, const auth::TokenOptions& options) {
  json::object claims;
  bool apart = true;
  auto add = [&](std::string_view name, bool there, json::value value) {
    if (there) apart = put(claims, name, std::move(value)) && apart;
  };
  add("iss", !options.issuer.empty(), json::value(options.issuer));
  add("aud", !options.audience.empty(), json::value(options.audience));
  add("iat", true, content.issued_s);
  add("exp", true, content.expires_s);
  const auth::ClaimNames& names = options.claims;
  add(names.name, !content.name.empty(), json::value(content.name));
  add(names.subject, !content.subject.empty(), json::value(content.subject));
  add(names.roles, !content.roles.empty(), array_of(content.roles));
  add(names.studies, !content.studies.empty(), array_of(content.studies));
  add(names.sites, !content.sites.empty(), array_of(content.sites));
  add(names.scope, !content.scopes.empty(), json::value(words_of(content.scopes)));
  if (!apart) {
    return fail(ErrorCode::invalid_argument, "auth.jwt.claims: two of them are of one place");
  }
  return json::serialize(claims);
}

std::string verified_json(const auth::Verified& verified) {
  const auth::Principal& who = verified.principal;
  json::array scopes;
  for (std::size_t i = 0; i < static_cast<std::size_t>(auth::Scope::count_); ++i) {
    auto scope = static_cast<auth::Scope>(i);
    if (who.scopes.has(scope)) scopes.emplace_back(std::string(name_of(scope)));
  }
  json::object shown;
  shown["name"] = json::value(who.name);
  shown["subject"] = who.subject ? json::value(*who.subject) : json::value();
  shown["roles"] = array_of(who.roles);
  shown["studies"] = named_json(who.studies);
  shown["sites"] = named_json(who.sites);
  shown["scopes"] = std::move(scopes);
  shown["takenUntil"] = json::value(time_text(verified.until_s));
  return json::serialize(shown);
}

}  // namespace trialwire
