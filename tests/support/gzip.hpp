// SPDX-License-Identifier: Apache-2.0
// One gzip member, as a client would send it.
#pragma once
#include <isa-l/igzip_lib.h>

#include <string>
#include <string_view>

#include "base/check.hpp"

namespace trialwire::testing {

inline std::string gzip(std::string_view text) {
  std::string out(text.size() + text.size() / 8 + 512, '\0');
  isal_zstream stream;
  isal_deflate_stateless_init(&stream);
  stream.gzip_flag = IGZIP_GZIP;
  stream.end_of_stream = 1;
  stream.flush = NO_FLUSH;
  stream.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<std::uint32_t>(text.size());
  stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
  stream.avail_out = static_cast<std::uint32_t>(out.size());
  TW_CHECK(isal_deflate_stateless(&stream) == COMP_OK);
  out.resize(stream.total_out);
  return out;
}

}  // namespace trialwire::testing
