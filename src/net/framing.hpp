// SPDX-License-Identifier: Apache-2.0
// What a request's target and headers mean together: which resource, which host, how the body is
// framed, whether the connection stays. The parser has split the lines; this judges them.
#pragma once
#include <string_view>

#include "net/parser.hpp"

namespace trialwire::net {

/// Sets method, path, query and, for an absolute-form target, host. `plain`: the target holds none
/// of '?', '%' and '.'. Status 0: accepted.
Refusal split_target(std::string_view target, bool plain, RequestHead& head) noexcept;

/// Sets host, content_length, chunked, keep_alive and expects_continue. Status 0: accepted.
Refusal check_framing(RequestHead& head) noexcept;

}  // namespace trialwire::net
