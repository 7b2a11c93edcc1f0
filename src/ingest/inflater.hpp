// SPDX-License-Identifier: Apache-2.0
// gzip bodies (RFC 1952), one or several members, into a bounded buffer. One a shard; the state and
// the buffer come into being with the first gzip body. Stops as soon as the limit is passed: a
// bomb costs what the limit allows, whatever its ratio.
#pragma once
#include <cstddef>
#include <memory>
#include <string_view>

#include "base/error.hpp"

namespace trialwire::ingest {

class Inflater {
 public:
  /// Readable bytes that follow the text `inflate` returns.
  static constexpr std::size_t padding = 64;

  Inflater();
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// The whole text, valid until the next call. Errors: payload_too_large beyond `bytes_max`;
  /// invalid_argument when the input is not gzip, damaged, cut short, or followed by anything.
  Result<std::string_view> inflate(std::string_view gzip, std::size_t bytes_max);

  /// Gives memory back when the buffer has grown beyond this.
  void shrink(std::size_t retained_bytes_max) noexcept;

 private:
  struct State;
  bool grow(std::size_t bytes_max);

  std::unique_ptr<State> state_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
};

}  // namespace trialwire::ingest
