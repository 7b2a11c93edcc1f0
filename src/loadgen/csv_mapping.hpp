// SPDX-License-Identifier: Apache-2.0
// How the rows of a CSV file become JSON records:
//   patientId=USUBJID,trialId=:CDISCPILOT01,timestamp={QSDTC}T00:00:00Z,answers.{QSTESTCD}=QSSTRESN
// An entry is FIELD=COLUMN, FIELD=:CONSTANT, or FIELD=TEXT with {COLUMN}s in it. {#} is the row's
// number from 1, {run} this run's random prefix. FIELD may hold {COLUMN}s too, and a dot puts it
// into an object. A field whose columns are all empty is left out. A text that is a JSON number
// becomes one, except in the fields that are text by contract (ids, comments, timestamp, units);
// one with leading zeros does in those that are numbers by contract.
// An entry may end in ?COLUMN=VALUE: it is for the rows alone that have that value there,
//   systolic=VSORRES?VSTESTCD=SYSBP,units.systolic=VSORRESU?VSTESTCD=SYSBP
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "loadgen/csv.hpp"
#include "loadgen/request_source.hpp"

namespace trialwire::loadgen {

struct MappingContext {
  std::string_view run;
};

/// One record for each row. Errors name the entry of the mapping or the column that is missing.
Result<std::vector<FileRecord>> map_rows(const CsvTable& table, std::string_view mapping,
                                         const MappingContext& context);

/// The text as a JSON string, with its quotes.
std::string json_string(std::string_view text);

}  // namespace trialwire::loadgen
