// SPDX-License-Identifier: Apache-2.0
// The text of a record's time, as rows hold it.
#pragma once
#include <array>
#include <string_view>

#include "base/rfc3339.hpp"
#include "ingest/field_reader.hpp"

namespace trialwire::ingest {

/// RFC 3339: as it was sent (bounded_rfc3339), or in UTC where a number or nothing was. The text
/// may be of this object, and is valid until the next call.
class TimeText {
 public:
  std::string_view operator()(const Moment& moment) noexcept {
    if (!moment.text.empty()) return bounded_rfc3339(moment.text, text_);
    constexpr std::size_t milliseconds_size = 24;
    write_rfc3339_ms(moment.instant.unix_ns, text_.data());
    return {text_.data(), milliseconds_size};
  }

 private:
  std::array<char, rfc3339_text_max> text_{};
};

}  // namespace trialwire::ingest
