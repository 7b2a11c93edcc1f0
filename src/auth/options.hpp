// SPDX-License-Identifier: Apache-2.0
// What is asked of a token, and what bounds the work that one can cause.
#pragma once
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace trialwire::auth {

enum class Algorithm : std::uint8_t { hs256, rs256, es256, count_ };
constexpr std::array<std::string_view, 3> algorithm_names{"HS256", "RS256", "ES256"};

/// Names, or JSON Pointers, of the claims that say who somebody is.
struct ClaimNames {
  std::string name = "sub";
  std::string roles = "roles";
  std::string studies = "studies";
  std::string sites = "sites";
  std::string subject = "subject";
  std::string scope = "scope";
};

struct TokenOptions {
  std::vector<Algorithm> algorithms{Algorithm::hs256, Algorithm::rs256, Algorithm::es256};
  std::string issuer;    // empty: any
  std::string audience;  // empty: any
  std::chrono::seconds skew{30};
  ClaimNames claims;
  std::size_t token_bytes_max = 8 << 10;
};

/// Where keys come from, besides what KeyRing::take_set is given. Secrets are of HS256, the files
/// of RS256 and ES256.
struct KeyOptions {
  std::filesystem::path secret_file;             // empty: none
  std::filesystem::path previous_secret_file;    // taken as well: for rotation
  std::vector<std::filesystem::path> key_files;  // JWKS, PEM of public keys or certificates
  bool allow_weak_secret = false;
};

constexpr std::size_t secret_bytes_min = 32;  // RFC 7518, 3.2
constexpr std::size_t key_file_bytes_max = 256 << 10;
constexpr std::size_t keys_max = 64;
/// Keys that are tried for a token which names none, or none that is known.
constexpr std::size_t tried_keys_max = 4;

}  // namespace trialwire::auth
