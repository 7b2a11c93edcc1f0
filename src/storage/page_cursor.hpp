// SPDX-License-Identifier: Apache-2.0
// The opaque cursor of a list: the sort key of the last item sent, encrypted, as base64url. Pages
// continue after that key, so rows that arrive meanwhile neither repeat nor hide an item: those
// that sort before it are simply not seen by this walk.
//
//   17 bytes encrypted
//     1 byte  version, 3
//     8 bytes timestamp, ns since the Unix epoch, little-endian
//     8 bytes row id, little-endian
//   16 bytes tag
//
// 33 bytes, always 44 characters. It grants nothing: each page applies the principal's limits anew.
// It says nothing either: row ids are counted over all studies, and two of them would tell how much
// others have sent. AES-128-SIV (RFC 5297) by OpenSSL, under a key that SHA-256 makes of the
// database's own: equal positions are equal cursors, and any two others have nothing in common.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.hpp"

namespace trialwire::storage {

struct PagePosition {
  std::int64_t timestamp_ns = 0;
  std::int64_t id = 0;
  friend bool operator==(const PagePosition&, const PagePosition&) = default;
};

std::string encode_page_cursor(const PagePosition& position, SipKey key);

/// Could it be one, of any database? What needs no key: length and alphabet.
bool has_page_cursor_form(std::string_view text) noexcept;

/// Nothing, when it is not one that was made under this key.
std::optional<PagePosition> decode_page_cursor(std::string_view text, SipKey key);

}  // namespace trialwire::storage
