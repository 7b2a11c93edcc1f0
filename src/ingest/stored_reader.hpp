// SPDX-License-Identifier: Apache-2.0
// Reads a journal record's JSON back with the functions that intake validated it with. One a
// thread; its memory is kept, so that reading does not allocate once warm. Views into what was read
// are valid until the next `read`.
//
// What was accepted once stays readable: callers pass limits that nothing exceeds.
#pragma once
#include <limits>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "ingest/field_errors.hpp"
#include "ingest/field_reader.hpp"
#include "ingest/json_reader.hpp"
#include "ingest/key_set.hpp"
#include "ingest/options.hpp"
#include "ingest/scratch.hpp"
#include "journal/record.hpp"

namespace trialwire::ingest {

class StoredReader {
 public:
  /// `decode(reader, context)` reads the object that the record is, as KindDecoder::decode does.
  /// Errors: corrupt, when the bytes are not such a record; the text names `what` and holds no
  /// patient data. A sink treats that as a record that can never succeed.
  template <typename Decode>
  Result<void> read(const journal::Record& record, std::string_view what, Decode&& decode);

 private:
  Result<void> begin(const journal::Record& record, std::string_view what);
  Result<void> verdict(bool well_formed, JsonReader& reader, std::string_view what);

  Scratch scratch_;
  // Names are not secret here: the journal holds only what intake let in.
  KeySet unknown_names_{SipKey{}};
  KeySet item_names_{SipKey{}};
  FieldErrors errors_{1};
};

template <typename Decode>
Result<void> StoredReader::read(const journal::Record& record, std::string_view what,
                                Decode&& decode) {
  if (auto begun = begin(record, what); !begun) return begun;
  DecodeContext context{errors_, scratch_, unknown_names_, item_names_};
  context.object_fields_max = std::numeric_limits<std::uint32_t>::max();
  context.received_ns = record.attributes.received_ns;
  JsonReader reader(as_text(record.bytes), 0, json_depth_limit);
  bool well_formed = decode(reader, context);
  return verdict(well_formed, reader, what);
}

}  // namespace trialwire::ingest
