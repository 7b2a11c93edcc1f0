// SPDX-License-Identifier: Apache-2.0
#include "net/head_parser.hpp"

#include <cstdint>
#include <cstring>

namespace trialwire::net {

ParseState HeadParser::parse(std::string_view input, const HeadLimits& limits, RequestHead& head,
                             Refusal& refusal) noexcept {
  if (size_ != 0 && input.size() >= size_ && std::memcmp(input.data(), text_.data(), size_) == 0) {
    point_to(input.data(), head);
    return ParseState::complete;
  }
  size_ = 0;
  const ParseState state = parse_head(input, limits, head, refusal);
  if (state == ParseState::complete && head.bytes <= kept_bytes_max) {
    std::memcpy(text_.data(), input.data(), head.bytes);
    size_ = head.bytes;
    input_ = input.data();
  }
  return state;
}

/// The earlier input may be gone: its addresses are counted with, never read.
void HeadParser::point_to(const char* input, RequestHead& head) noexcept {
  const auto from = reinterpret_cast<std::uintptr_t>(input_);
  const auto move = [&](std::string_view& view) {
    const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(view.data()) - from;
    // Not what is empty without a place, nor a constant.
    if (offset <= size_) view = {input + offset, view.size()};
  };
  for (std::size_t i = 0; i < head.field_count; ++i) {
    move(head.fields[i].name);
    move(head.fields[i].value);
  }
  for (std::string_view* view : {&head.method_text, &head.path, &head.query, &head.host}) {
    move(*view);
  }
  input_ = input;
}

}  // namespace trialwire::net
