// SPDX-License-Identifier: Apache-2.0
// Start of a journal: locks its directory, looks at all of it (inspection.hpp), then either refuses
// and leaves everything as it is, or does what the table in recovery_table.hpp says and hands over
// what the store goes on with.
//
// Time and memory: reads every header and all that is not yet consumed, on up to six threads with
// a window of two batches each.
#pragma once
#include <memory>
#include <vector>

#include "base/error.hpp"
#include "journal/inspection.hpp"
#include "journal/seal.hpp"
#include "journal/segment_store.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::journal {

struct Recovered {
  std::unique_ptr<DirectoryLock> lock;
  bool direct = false;
  JournalMeta meta;
  SipKey identity_key;
  SigningKey signing;
  Retired retired;
  std::vector<Gap> gaps;
  std::vector<SegmentSummary> segments;  // with data; ascending
  std::vector<std::uint64_t> spares;
  ChainEnd end;
  std::uint64_t highest_segment = 0;  // no greater number was ever used
};

Result<Recovered> recover(const StoreOptions& options, FileLayer& files,
                          telemetry::Registry& metrics);

}  // namespace trialwire::journal
