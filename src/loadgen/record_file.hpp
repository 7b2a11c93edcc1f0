// SPDX-License-Identifier: Apache-2.0
// Reads the records of --file into memory: NDJSON as it is, CSV through a mapping; either may be
// gzip, recognised by its first bytes.
#pragma once
#include <string>
#include <vector>

#include "base/error.hpp"
#include "loadgen/request_source.hpp"

namespace trialwire::loadgen {

struct RecordFileOptions {
  std::string path;
  std::string mapping;                           // empty: the file is NDJSON
  std::string run;                               // for {run} in the mapping
  std::size_t bytes_max = std::size_t{1} << 30;  // after inflation
};

/// Errors start with the path.
Result<std::vector<FileRecord>> read_records(const RecordFileOptions& options);

/// The value of "reportId" in a JSON object, without unescaping it; empty when it has none.
std::string_view find_report_id(std::string_view body) noexcept;

}  // namespace trialwire::loadgen
