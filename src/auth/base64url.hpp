// SPDX-License-Identifier: Apache-2.0
// base64url as JOSE has it (RFC 7515, 2): no padding, no white space; and only the one spelling of
// each byte string: unused bits must be zero.
#pragma once
#include <string>
#include <string_view>

namespace trialwire::auth {

/// Appends the bytes to `out`, which is left in an unspecified state where it fails.
bool decode_base64url(std::string_view text, std::string& out);
void append_base64url(std::string& out, std::string_view bytes);

}  // namespace trialwire::auth
