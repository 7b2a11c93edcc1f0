// SPDX-License-Identifier: Apache-2.0
// `trialwire token issue | verify`: tokens for development, where no identity provider is.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <variant>

#include <fmt/format.h>

#include "auth/signer.hpp"
#include "auth/verifier.hpp"
#include "auth_options.hpp"
#include "base/private_file.hpp"
#include "commands.hpp"
#include "config/value.hpp"
#include "exit_code.hpp"
#include "serve_jwks.hpp"
#include "settings_options.hpp"
#include "token_claims.hpp"

namespace trialwire {
namespace {

struct Arguments {
  TokenContent content;
  std::string lifetime = "1h";
  std::string key_file, key_id;
};

int refuse(std::string_view why, int code) {
  fmt::print(stderr, "trialwire: {}\n", why);
  return code;
}

std::int64_t unix_now_s() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::floor<std::chrono::seconds>(now).count();
}

Result<auth::Signer> signer_of(const Arguments& arguments, const config::JwtSettings& jwt) {
  if (arguments.key_file.empty() && jwt.secret_file.empty()) {
    return fail(ErrorCode::invalid_argument,
                "there is nothing to sign with: set auth.jwt.secret_file, or give --key");
  }
  if (arguments.key_file.empty()) {
    auto secret = auth::read_secret(jwt.secret_file, jwt.allow_weak_secret);
    if (!secret) return std::unexpected(secret.error());
    return auth::Signer::of_secret(std::move(*secret));
  }
  auto pem = read_guarded_file(arguments.key_file, FileAccess::secret, auth::key_file_bytes_max);
  if (!pem) return std::unexpected(pem.error());
  const auth::Secret text(std::move(*pem));
  auto signer = auth::Signer::of_pem(text.view());
  if (!signer) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} {}", arguments.key_file, signer.error().text));
  }
  return signer;
}

/// What is allowed, and surely not meant.
void warn_of(const TokenContent& content) {
  auto has = [&](std::string_view scope) {
    return std::ranges::find(content.scopes, scope) != content.scopes.end();
  };
  for (const std::string& scope : content.scopes) {
    if (!auth::scope_of(scope)) {
      fmt::print(stderr, "trialwire: warning: {} is no scope of this server\n", scope);
    }
  }
  if (has("records:read") && content.studies.empty()) {
    fmt::print(stderr, "trialwire: warning: without --study this token reads nothing\n");
  }
}

int run_issue(const config::Settings& settings, Arguments arguments) {
  constexpr std::uint64_t second_ns = 1'000'000'000, decade_ns = 10 * 365 * 86'400 * second_ns;
  auto lifetime = config::parse_value(
      {.kind = config::Kind::duration, .minimum = second_ns, .maximum = decade_ns},
      arguments.lifetime);
  if (!lifetime) return refuse("--for " + lifetime.error(), exit_usage);
  if (arguments.content.name.empty() && arguments.content.subject.empty()) {
    return refuse("give --name or --subject: a token that names nobody is refused", exit_usage);
  }
  auto signer = signer_of(arguments, settings.auth.jwt);
  if (!signer) return refuse(signer.error().text, exit_failed);
  TokenContent& content = arguments.content;
  content.issued_s = unix_now_s();
  content.expires_s = content.issued_s + std::chrono::floor<std::chrono::seconds>(
                                             std::get<std::chrono::nanoseconds>(*lifetime))
                                             .count();
  warn_of(content);
  auto claims = claims_json(content, token_options(settings.auth.jwt));
  if (!claims) return refuse(claims.error().text, exit_usage);
  auto token = signer->sign(*claims, arguments.key_id);
  if (!token) return refuse(token.error().text, exit_failed);
  fmt::print("{}\n", *token);
  return exit_ok;
}

int run_verify(const config::Settings& settings) {
  Result<std::string> fetched;
  if (!settings.auth.jwt.jwks_url.empty()) fetched = fetch_jwks(settings);
  if (!fetched) return refuse(fetched.error().text, exit_failed);
  auto keys = auth::load_keys(key_options(settings.auth.jwt), *fetched);
  if (!keys) return refuse(keys.error().text, exit_failed);
  if (keys->keys.empty()) {
    return refuse("there is no key: set auth.jwt.secret_file, auth.jwt.jwks or auth.jwt.jwks_url",
                  exit_usage);
  }
  if (::isatty(STDIN_FILENO) != 0) fmt::print(stderr, "token: ");
  std::string token;
  std::getline(std::cin, token);
  while (token.ends_with('\r') || token.ends_with(' ')) token.pop_back();
  if (token.starts_with("Bearer ")) token.erase(0, 7);
  auth::Verifier verifier(token_options(settings.auth.jwt),
                          std::make_shared<const auth::KeySet>(std::move(*keys)));
  auto verified = verifier.verify(token, unix_now_s());
  if (!verified) {
    return refuse(fmt::format("refused, {}: {}", auth::label_of(verified.error()),
                              auth::text_of(verified.error())),
                  exit_failed);
  }
  fmt::print("{}\n", verified_json(*verified));
  return exit_ok;
}

void add_issue(CLI::App& group, int& exit_code) {
  CLI::App* command = group.add_subcommand("issue", "Print a token for development");
  command->footer(
      "Signed with the secret of auth.jwt.secret_file (HS256), or with a private key (RS256, "
      "ES256).\nThe claims have the names that auth.jwt.claims says, iss and aud are those of the "
      "settings.\nIn production an identity provider issues tokens; who has this secret can be "
      "anybody.\n\n"
      "A secret: (umask 077; openssl rand -base64 48 > jwt.secret)\n\n"
      "Scopes: reports:write vitals:write metrics:write projects:write imaging:write\n"
      "        records:read alerts:ack admin\n\n"
      "Examples:\n"
      "  trialwire token issue --set auth.mode=jwt --set auth.jwt.secret_file=jwt.secret \\\n"
      "    --name app --subject P-1 --study T-1 --scope reports:write --scope records:read\n"
      "  trialwire token issue --config trialwire.yaml --key private.pem --key-id 2026-03 \\\n"
      "    --name gateway --scope vitals:write --for 30d\n\n"
      "Exit codes: 0 printed, 1 not (no key, a key that others can read), 2 wrong command line or\n"
      "settings.");
  auto options = add_settings_options(*command);
  auto arguments = std::make_shared<Arguments>();
  TokenContent& content = arguments->content;
  command->add_option("--name", content.name, "Who it is (sub)")->type_name("NAME");
  command->add_option("--subject", content.subject, "The one patient that it is for")
      ->type_name("ID");
  command->add_option("--study", content.studies, "A study, any number of times; '*' is all")
      ->type_name("ID");
  command->add_option("--site", content.sites, "A site, any number of times")->type_name("ID");
  command->add_option("--role", content.roles, "A role, any number of times")->type_name("NAME");
  command->add_option("--scope", content.scopes, "A scope, any number of times")
      ->type_name("SCOPE");
  command->add_option("--for", arguments->lifetime, "How long it is valid [1h]")->type_name("TIME");
  command->add_option("--key", arguments->key_file, "Private key in PEM, mode 0600")
      ->type_name("FILE");
  command->add_option("--key-id", arguments->key_id, "Its name in the JWKS (kid)")->type_name("ID");
  command->callback([options, arguments, &exit_code] {
    auto settings = load_settings(*options);
    exit_code = settings ? run_issue(*settings, *arguments) : static_cast<int>(exit_usage);
  });
}

void add_verify(CLI::App& group, int& exit_code) {
  CLI::App* command = group.add_subcommand("verify", "Say whether a token is taken, and for whom");
  command->footer(
      "Reads the token from standard input, so that it is in no list of processes and no history,\n"
      "and checks it as the server does. Prints what it stands for as JSON, or why it is refused.\n"
      "What a route wants is not looked at.\n\n"
      "Examples:\n"
      "  trialwire token verify --config trialwire.yaml < token\n"
      "  trialwire token issue … | trialwire token verify --config trialwire.yaml | jq .studies\n\n"
      "Exit codes: 0 it is taken, 1 it is refused or the keys cannot be read, 2 wrong command "
      "line\n"
      "or settings.");
  auto options = add_settings_options(*command);
  command->callback([options, &exit_code] {
    auto settings = load_settings(*options);
    exit_code = settings ? run_verify(*settings) : static_cast<int>(exit_usage);
  });
}

}  // namespace

void add_token_command(CLI::App& app, int& exit_code) {
  CLI::App* group = app.add_subcommand("token", "Issue and verify tokens for development");
  group->require_subcommand(1);
  group->footer(
      "With auth.mode: jwt every request wants `Authorization: Bearer TOKEN` "
      "(docs/security.md).\n\n"
      "Examples:\n"
      "  trialwire token issue --config trialwire.yaml --name app --study T-1 --scope "
      "records:read\n"
      "  trialwire token verify --config trialwire.yaml < token");
  add_issue(*group, exit_code);
  add_verify(*group, exit_code);
}

}  // namespace trialwire
