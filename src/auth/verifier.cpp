// SPDX-License-Identifier: Apache-2.0
#include "auth/verifier.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "auth/base64url.hpp"

namespace trialwire::auth {
namespace {

constexpr JsonBounds header_bounds{.depth = 4, .members = 16};
constexpr JsonBounds claim_bounds{.depth = 8, .members = 128};
constexpr std::size_t name_bytes_max = 255;  // what a journal's record keeps of a principal

enum HeaderMember : std::uint8_t { member_alg, member_kid, member_crit };
const std::array<std::string, 3> header_pointers{"/alg", "/kid", "/crit"};

enum ClaimPlace : std::uint8_t {
  claim_exp,
  claim_nbf,
  claim_iat,
  claim_iss,
  claim_aud,
  claim_name,
  claim_roles,
  claim_studies,
  claim_sites,
  claim_subject,
  claim_scope,
};

std::vector<std::string> pointers_of(const ClaimNames& names) {
  std::vector<std::string> pointers{"/exp", "/nbf", "/iat", "/iss", "/aud"};
  for (const std::string* name :
       {&names.name, &names.roles, &names.studies, &names.sites, &names.subject, &names.scope}) {
    pointers.push_back(claim_pointer(*name));
  }
  return pointers;
}

/// Whole seconds; what lies beyond any calendar is the end of it.
std::int64_t seconds_of(double number) noexcept {
  constexpr double far = 1e15;
  return static_cast<std::int64_t>(std::floor(std::clamp(number, -far, far)));
}

using Kind = Claim::Kind;

struct Times {
  std::optional<std::int64_t> expires;
  std::optional<std::int64_t> not_before;
  std::optional<std::int64_t> issued;
};

/// False: one of them is no number.
bool read_time(const Claim& claim, std::optional<std::int64_t>& to) noexcept {
  if (claim.kind == Kind::absent || claim.kind == Kind::null) return true;
  if (claim.kind != Kind::number) return false;
  to = seconds_of(claim.number);
  return true;
}

/// A name that goes into rows, logs and statements.
bool is_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= name_bytes_max && std::ranges::none_of(text, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

bool are_names(const std::vector<std::string>& texts) noexcept {
  return std::ranges::all_of(texts, is_name);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    std::size_t end = std::min(text.find(' '), text.size());
    if (end != 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

/// An array of texts, or one text of words (RFC 8693, 4.2). False: it is neither.
bool read_words(Claim& claim, std::vector<std::string>& to) {
  if (claim.kind == Kind::absent) return true;
  if (claim.kind == Kind::text) {
    to = words_of(claim.text);
  } else if (claim.kind == Kind::texts) {
    to = std::move(claim.texts);
  } else {
    return false;
  }
  return are_names(to);
}

/// An array of names, or one name; "*" alone is all of them.
bool read_named(Claim& claim, Named& to) {
  if (claim.kind == Kind::absent) return true;
  if (claim.kind == Kind::text) {
    to.names = {std::move(claim.text)};
  } else if (claim.kind == Kind::texts) {
    to.names = std::move(claim.texts);
  } else {
    return false;
  }
  const bool all = to.names.size() == 1 && to.names.front() == "*";
  to.kind = all ? Named::Kind::all : Named::Kind::listed;
  if (all) to.names.clear();
  return are_names(to.names);
}

bool read_subject(Claim& claim, std::optional<std::string>& to) {
  if (claim.kind == Kind::absent) return true;
  if (claim.kind != Kind::text || !is_name(claim.text)) return false;
  to = std::move(claim.text);
  return true;
}

bool read_principal(std::vector<Claim>& claims, Principal& to) {
  std::vector<std::string> scopes;
  if (!read_words(claims[claim_scope], scopes) || !read_words(claims[claim_roles], to.roles) ||
      !read_named(claims[claim_studies], to.studies) ||
      !read_named(claims[claim_sites], to.sites) ||
      !read_subject(claims[claim_subject], to.subject)) {
    return false;
  }
  for (const std::string& name : scopes) {
    if (auto scope = scope_of(name)) to.scopes.add(*scope);
  }
  Claim& name = claims[claim_name];
  if (name.kind == Kind::text) {
    if (!is_name(name.text)) return false;
    to.name = std::move(name.text);
    return true;
  }
  // Whose tokens name nobody would all be one: one rate, and one sender of every identity.
  if (name.kind != Kind::absent || !to.subject) return false;
  to.name = *to.subject;
  return true;
}

bool is_for(const Claim& audience, std::string_view us) noexcept {
  if (audience.kind == Kind::text) return audience.text == us;
  return audience.kind == Kind::texts &&
         std::ranges::find(audience.texts, us) != audience.texts.end();
}

std::optional<Refusal> check_times(const Times& times, std::int64_t skew_s, std::int64_t now_s) {
  if (!times.expires) return Refusal::no_expiry;
  if (now_s >= *times.expires + skew_s) return Refusal::expired;
  if (times.not_before && now_s < *times.not_before - skew_s) return Refusal::not_yet_valid;
  if (times.issued && now_s < *times.issued - skew_s) return Refusal::issued_in_future;
  return std::nullopt;
}

}  // namespace

Verifier::Verifier(const TokenOptions& options, std::shared_ptr<const KeySet> keys)
    : options_(options),
      claim_pointers_(pointers_of(options.claims)),
      signatures_(std::move(keys)) {}

std::expected<Algorithm, Refusal> Verifier::read_header(std::string_view encoded) {
  decoded_.clear();
  header_id_.clear();
  if (!decode_base64url(encoded, decoded_) ||
      !read_claims(decoded_, header_pointers, header_bounds, claims_)) {
    return std::unexpected(Refusal::malformed);
  }
  if (claims_[member_crit].kind != Kind::absent) return std::unexpected(Refusal::critical);
  if (claims_[member_alg].kind != Kind::text) return std::unexpected(Refusal::algorithm);
  Claim& id = claims_[member_kid];
  if (id.kind != Kind::absent && id.kind != Kind::text) return std::unexpected(Refusal::malformed);
  header_id_ = std::move(id.text);
  const auto* known = std::ranges::find(algorithm_names, claims_[member_alg].text);
  if (known == algorithm_names.end()) return std::unexpected(Refusal::algorithm);
  auto algorithm = static_cast<Algorithm>(known - algorithm_names.begin());
  if (std::ranges::find(options_.algorithms, algorithm) == options_.algorithms.end()) {
    return std::unexpected(Refusal::algorithm);
  }
  return algorithm;
}

std::expected<Verified, Refusal> Verifier::verify(std::string_view token, std::int64_t now_s) {
  if (token.size() > options_.token_bytes_max) return std::unexpected(Refusal::too_large);
  std::size_t first = token.find('.');
  std::size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) {
    return std::unexpected(Refusal::malformed);
  }
  std::string_view header = token.substr(0, first);
  if (header != header_text_) {
    header_ = read_header(header);
    header_text_ = header;
  }
  if (!header_) return std::unexpected(header_.error());
  signature_.clear();
  if (!decode_base64url(token.substr(second + 1), signature_)) {
    return std::unexpected(Refusal::malformed);
  }
  if (auto refusal = signatures_.check(*header_, header_id_, token.substr(0, second), signature_)) {
    return std::unexpected(*refusal);
  }
  decoded_.clear();
  if (!decode_base64url(token.substr(first + 1, second - first - 1), decoded_)) {
    return std::unexpected(Refusal::malformed);
  }
  return read_claims_of(decoded_, now_s);
}

std::expected<Verified, Refusal> Verifier::read_claims_of(std::string_view json,
                                                          std::int64_t now_s) {
  if (!read_claims(json, claim_pointers_, claim_bounds, claims_)) {
    return std::unexpected(Refusal::malformed);
  }
  Times times;
  if (!read_time(claims_[claim_exp], times.expires) ||
      !read_time(claims_[claim_nbf], times.not_before) ||
      !read_time(claims_[claim_iat], times.issued)) {
    return std::unexpected(Refusal::claims);
  }
  const std::int64_t skew_s = options_.skew.count();
  if (auto refusal = check_times(times, skew_s, now_s)) return std::unexpected(*refusal);
  const Claim& issuer = claims_[claim_iss];
  if (!options_.issuer.empty() && (issuer.kind != Kind::text || issuer.text != options_.issuer)) {
    return std::unexpected(Refusal::issuer);
  }
  if (!options_.audience.empty() && !is_for(claims_[claim_aud], options_.audience)) {
    return std::unexpected(Refusal::audience);
  }
  Verified verified;
  if (!read_principal(claims_, verified.principal)) return std::unexpected(Refusal::claims);
  std::int64_t from = std::max(times.not_before.value_or(0), times.issued.value_or(0));
  verified.from_s = from - skew_s;
  verified.until_s = *times.expires + skew_s;
  return verified;
}

}  // namespace trialwire::auth
