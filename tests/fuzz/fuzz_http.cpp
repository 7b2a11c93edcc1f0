// SPDX-License-Identifier: Apache-2.0
// However a stream of requests is cut into pieces, the parser sees the same requests and refuses at
// the same place with the same status. The first four bytes choose limits and pieces.
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "support/http_streams.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace trialwire;
  if (size < 4) return 0;
  net::HeadLimits limits;
  if (data[0] != 0) limits = {data[0] * std::size_t{4} + 16, data[1] * std::size_t{2} + 8};
  std::array<std::size_t, 2> sizes{data[2] % 32U + 1U, data[3] % 8U + 1U};
  std::string_view bytes(reinterpret_cast<const char*>(data) + 4, size - 4);
  auto whole = support::parse_stream(bytes, {}, limits, 4096);
  auto pieces = support::parse_stream(bytes, sizes, limits, 4096);
  TW_CHECK(whole == pieces);
  return 0;
}
