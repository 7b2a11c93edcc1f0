// SPDX-License-Identifier: Apache-2.0
// CSV as RFC 4180 has it: commas, quotes doubled inside quotes, CRLF or LF, a header line.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace trialwire::loadgen {

struct CsvTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // each with as many cells as there are columns
};

/// A row with another number of cells, or a quote that is not closed, is an error that names the
/// line. Empty lines are skipped; a byte order mark is too.
Result<CsvTable> parse_csv(std::string_view text);

}  // namespace trialwire::loadgen
