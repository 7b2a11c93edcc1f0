// SPDX-License-Identifier: Apache-2.0
// Parses request heads, and recognises one that has the very bytes of the head before it: what was
// found then holds again, and only the views move. A client repeats its head with every request,
// but for Content-Length, and a comparison costs a tenth of parsing. One a shard.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>

#include "net/parser.hpp"

namespace trialwire::net {

class HeadParser {
 public:
  /// As parse_head. `head` must be the one of the call before, unchanged, or `forget` was called.
  /// The limits are the same in every call.
  ParseState parse(std::string_view input, const HeadLimits& limits, RequestHead& head,
                   Refusal& refusal) noexcept;
  /// The head of the last call was changed: it says no longer what its bytes say.
  void forget() noexcept { size_ = 0; }

 private:
  static constexpr std::size_t kept_bytes_max = 1024;
  void point_to(const char* input, RequestHead& head) noexcept;

  std::array<char, kept_bytes_max> text_;
  std::size_t size_ = 0;         // of the head in text_; 0: none is known
  const char* input_ = nullptr;  // what the views of the last head point into
};

}  // namespace trialwire::net
