// SPDX-License-Identifier: Apache-2.0
// An entry read back from its JSON, as a journal record or a file of the spool has it.
#pragma once
#include <cstdint>
#include <string_view>

#include "base/error.hpp"
#include "ingest/stored_reader.hpp"
#include "journal/record.hpp"

namespace trialwire::audit {

/// Texts are views into what was read, or of the reader; numbers are -1 when they are not given.
struct EntryView {
  std::string_view who, roles, what, outcome, target, study, site, subject, timestamp, zone;
  std::string_view why, detail, old_value, new_value, origin;
  std::int64_t at_ns = 0;
  std::int64_t rows = -1;
  std::int64_t times = -1;
};

/// One a thread; views are valid until the next `read`.
class EntryReader {
 public:
  /// Errors: corrupt, when the record is no entry.
  Result<EntryView> read(const journal::Record& record);

 private:
  ingest::StoredReader reader_;
};

}  // namespace trialwire::audit
