// SPDX-License-Identifier: Apache-2.0
// What net's parser accepts, Boost.Beast's accepts too, with the same method, target, headers and
// body. The other way round it need not be: this parser is the stricter one. The known
// differences:
// - an empty line before a request (taken out by parse_stream_with_beast);
// - HTTP/1.2 and later (made 1.1 by it);
// - Proxy-Connection: Beast reads it like Connection, it means nothing to an origin server;
// - headers about framing among the trailers: Beast takes them for those of the head, here
//   trailers are dropped.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "support/http_beast.hpp"

namespace {

bool names_framing(const std::string& chunked) {
  std::string text = trialwire::support::lower_case(chunked);
  for (std::string name : {"content-length", "transfer-encoding", "connection", "upgrade"})
    if (text.find(name) != std::string::npos) return true;
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace trialwire;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto ours = support::parse_stream(bytes);
  auto beast = support::parse_stream_with_beast(bytes, 1 << 20, true);
  if (support::lower_case(bytes).find("proxy-connection") != std::string::npos) return 0;
  for (std::size_t i = 0; i < ours.requests.size(); ++i) {
    if (i >= beast.requests.size() && names_framing(ours.chunked[i])) return 0;
    TW_CHECK(i < beast.requests.size());
    TW_CHECK(ours.requests[i] == beast.requests[i]);
  }
  return 0;
}
