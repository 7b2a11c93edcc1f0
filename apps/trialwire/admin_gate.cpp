// SPDX-License-Identifier: Apache-2.0
#include "admin_gate.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/private_file.hpp"
#include "net/response.hpp"
#include "telemetry/log.hpp"

namespace trialwire {
namespace {

constexpr std::size_t token_bytes_min = 32;
constexpr std::size_t token_bytes_max = 4 << 10;
constexpr std::string_view open_to_all = "/healthz";
constexpr std::array<const char*, 3> reasons{"missing", "ambiguous", "wrong"};

/// What follows the scheme "Bearer", whose case does not count.
std::optional<std::string_view> token_of(std::string_view value) {
  constexpr std::string_view scheme = "bearer ";
  if (value.size() <= scheme.size() ||
      !net::equal_ignoring_case(value.substr(0, scheme.size()), scheme)) {
    return std::nullopt;
  }
  value.remove_prefix(scheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

}  // namespace

Result<std::string> read_admin_token(const std::filesystem::path& file) {
  auto token = read_guarded_file(file, FileAccess::secret, token_bytes_max);
  if (!token) return token;
  if (token->ends_with('\n')) token->pop_back();
  if (token->ends_with('\r')) token->pop_back();
  const bool plain = std::ranges::all_of(*token, [](char c) { return c > 0x20 && c < 0x7f; });
  if (token->size() >= token_bytes_min && plain) return token;
  const bool shown = plain;
  OPENSSL_cleanse(token->data(), token->size());
  return fail(ErrorCode::invalid_argument,
              shown ? fmt::format("{} holds fewer than {} bytes, which can be guessed",
                                  file.native(), token_bytes_min)
                    : fmt::format("{} holds characters that a header cannot have", file.native()));
}

AdminGate::AdminGate(std::filesystem::path file, telemetry::Registry& metrics)
    : file_(std::move(file)),
      current_(metrics.gauge("trialwire_admin_token_current",
                             "1: the token in force is that of its file; 0: the file holds what "
                             "cannot be used, and the one of before is in force.")) {
  static_assert(reasons.size() == static_cast<std::size_t>(Reason::count_));
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    refused_[i] = &metrics.counter("trialwire_admin_refused_total",
                                   "Requests to the admin port that were refused for their token.",
                                   {{"reason", reasons[i]}});
  }
}

Result<std::unique_ptr<AdminGate>> AdminGate::open(const std::filesystem::path& file,
                                                   telemetry::Registry& metrics) {
  std::unique_ptr<AdminGate> gate(new AdminGate(file, metrics));
  gate->stamp_ = stamp_of(file);
  auto token = read_admin_token(file);
  if (!token) {
    return fail(token.error().code, fmt::format("admin.token_file: {}", token.error().text));
  }
  gate->wanted_ = gate->digest_of(*token);
  gate->current_.set(1);
  OPENSSL_cleanse(token->data(), token->size());
  return gate;
}

void AdminGate::refresh() {
  const FileStamp now = stamp_of(file_);
  if (now == stamp_) return;
  stamp_ = now;
  auto token = read_admin_token(file_);
  current_.set(token ? 1 : 0);
  if (!token) {
    telemetry::log(telemetry::LogLevel::error, "serve",
                   "the token of the admin port cannot be used: the one of before stays in force",
                   {{"reason", std::string_view(token.error().text)}});
    return;
  }
  wanted_ = digest_of(*token);
  OPENSSL_cleanse(token->data(), token->size());
  telemetry::log(telemetry::LogLevel::info, "serve", "the token of the admin port was read again");
}

Sha256 AdminGate::digest_of(std::string_view token) {
  return hasher_.digest(as_bytes(token));
}

const auth::Principal* AdminGate::refuse(Reason reason, const net::Request& request,
                                         const net::Route& route, net::ResponseWriter& writer) {
  refused_[static_cast<std::size_t>(reason)]->add();
  if (listener_) listener_(reasons[static_cast<std::size_t>(reason)], request, route);
  std::string challenge = R"(Bearer realm="trialwire admin")";
  if (reason != Reason::missing) challenge += R"(, error="invalid_token")";
  writer.start(401).header("WWW-Authenticate", challenge);
  writer.problem_body("the admin port wants its token: Authorization: Bearer TOKEN", "");
  return nullptr;
}

const auth::Principal* AdminGate::admit(const net::Request& request, const net::Route& route,
                                        runtime::Shard&, net::ResponseWriter& writer) {
  if (route.pattern == open_to_all) return &auth::anonymous();
  std::optional<std::string_view> value;
  for (const net::HeaderField& header : request.headers) {
    if (!net::equal_ignoring_case(header.name, "authorization")) continue;
    if (value) return refuse(Reason::ambiguous, request, route, writer);
    value = header.value;
  }
  const auto token = token_of(value.value_or(""));
  if (!token) return refuse(Reason::missing, request, route, writer);
  const Sha256 given = digest_of(*token);
  if (CRYPTO_memcmp(given.data(), wanted_.data(), given.size()) != 0) {
    return refuse(Reason::wrong, request, route, writer);
  }
  return &auth::anonymous();
}

}  // namespace trialwire
