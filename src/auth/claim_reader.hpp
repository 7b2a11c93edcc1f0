// SPDX-License-Identifier: Apache-2.0
// Reads the wanted members of one JSON object that came from outside: a token's header or its
// claims. Strict: RFC 8259, valid UTF-8, nothing behind it. A name that an object has twice makes
// the whole malformed: two readers could take it for different things.
//
// Bounds: nesting and members are the caller's, the text too.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trialwire::auth {

/// What a wanted member holds.
struct Claim {
  enum class Kind : std::uint8_t { absent, null, text, number, texts, other };
  Kind kind = Kind::absent;
  std::string text;
  double number = 0;
  std::vector<std::string> texts;  // of an array that holds nothing but texts
};

struct JsonBounds {
  std::size_t depth = 8;  // at most 255
  std::size_t members = 128;
};

/// Where a claim is: a name, or a JSON Pointer (RFC 6901) when it begins with '/':
/// "roles" and "/roles" are the same, "/realm_access/roles" is a member of a member.
std::string claim_pointer(std::string_view name);

/// `claims[i]` is what is at `pointers[i]`: `absent` when the object that would hold it has no such
/// member, or is not there itself; `other` when something else is in that object's place: null, a
/// text, an array without it. False when the text is malformed or beyond the bounds.
bool read_claims(std::string_view json, std::span<const std::string> pointers,
                 const JsonBounds& bounds, std::vector<Claim>& claims);

}  // namespace trialwire::auth
