// SPDX-License-Identifier: Apache-2.0
// What net's parser accepts, Boost.Beast's accepts too, with the same method, target, headers and
// body. The other way round it need not be: this parser is the stricter one. The known
// differences: an empty line before a request (taken out by parse_stream_with_beast), and
// Proxy-Connection, which Beast reads like Connection and which means nothing to an origin server.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "support/http_beast.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace trialwire;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto ours = support::parse_stream(bytes);
  auto beast = support::parse_stream_with_beast(bytes);
  if (support::lower_case(bytes).find("proxy-connection") != std::string::npos) return 0;
  for (std::size_t i = 0; i < ours.requests.size(); ++i) {
    TW_CHECK(i < beast.requests.size());
    TW_CHECK(ours.requests[i] == beast.requests[i]);
  }
  return 0;
}
