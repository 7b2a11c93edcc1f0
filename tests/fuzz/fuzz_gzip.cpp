// SPDX-License-Identifier: Apache-2.0
// Inflating arbitrary bytes: no crash, never more than the limit, the same result the second time,
// and what is compressed here comes back.
#include <string>

#include "base/check.hpp"
#include "ingest/inflater.hpp"
#include "support/gzip.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace trialwire;
  constexpr std::size_t limit = 1 << 16;
  static ingest::Inflater inflater;
  std::string input(reinterpret_cast<const char*>(data), size);
  auto first = inflater.inflate(input, limit);
  if (first.has_value()) {
    TW_CHECK(first->size() <= limit);
    std::string text(*first);
    auto again = inflater.inflate(input, limit);
    TW_CHECK(again.has_value() && *again == text);
  } else {
    TW_CHECK(first.error().code == ErrorCode::invalid_argument ||
             first.error().code == ErrorCode::payload_too_large);
  }
  if (size > limit) return 0;
  auto round_trip = inflater.inflate(testing::gzip(input), limit);
  TW_CHECK(round_trip.has_value() && *round_trip == input);
  return 0;
}
