// SPDX-License-Identifier: Apache-2.0
// Reads the members of one JSON object into typed values, with the rules that all kinds share:
//   - a name is given once, also when spelled with escapes; unknown ones are counted or refused
//   - null is the same as leaving the field out
//   - lengths are of what escapes decode to, in characters (code points); of free text in bytes
//   - an integer is what has an integer's value: 7, 7.0 and 7e0; "7" is not
// Every error is recorded and reading goes on, so that an answer names all bad fields at once.
// Malformed JSON stops at once: the reader's fault then is the only error worth telling.
#pragma once
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/rfc3339.hpp"
#include "ingest/field_errors.hpp"
#include "ingest/json_reader.hpp"
#include "ingest/json_text.hpp"
#include "ingest/key_set.hpp"
#include "ingest/options.hpp"
#include "ingest/scratch.hpp"
#include "ingest/unknown_value.hpp"

namespace trialwire::ingest {

/// What decoding one record works with. Owned by the caller, one a thread.
struct DecodeContext {
  FieldErrors& errors;
  Scratch& scratch;
  KeySet& unknown_names;  // of the record
  KeySet& item_names;     // of an object within it
  UnknownFields unknown_fields = UnknownFields::keep;
  std::uint32_t object_fields_max = 1'000;
  std::int64_t received_ns = 0;
  /// Of the values of unknown fields. Null: the record was accepted once and is read again; what
  /// is refused only since then is let pass.
  NestedNames* nested_names = nullptr;
};

struct TextLimits {
  std::size_t min = 0;  // 0 or 1
  std::size_t max = 64;
  bool lines = false;  // free text: line breaks and other control characters but NUL are allowed,
                       // and its length is of bytes of UTF-8
};

struct IntegerLimits {
  std::int64_t min = 0;
  std::int64_t max = 0;
};

/// A time that was sent as text or as a number.
struct Moment {
  std::string_view text;    // as sent; empty: a number was
  ZonedInstant instant;     // of a number: UTC
  bool other_unit = false;  // the number told another unit than milliseconds
};

enum class FieldOutcome : std::uint8_t { value, absent, error };

class FieldReader {
 public:
  FieldReader(JsonReader& reader, DecodeContext& context) noexcept
      : reader_(reader), context_(context) {}

  /// Walks the object that is next. `on_field(index)` is called for each name of `names` (a
  /// constant array of at most 64 names) and must read or skip the value. False when the JSON is
  /// malformed.
  template <const auto& names, typename OnField>
  bool object(OnField on_field);

  FieldOutcome text(std::string_view field, const TextLimits& limits, std::string_view& out);
  FieldOutcome integer(std::string_view field, IntegerLimits limits, std::int64_t& out);
  /// Any number that a double holds; `written` is its text.
  FieldOutcome real(std::string_view field, std::string_view& written, double& out);
  FieldOutcome instant(std::string_view field, std::string_view& text, ZonedInstant& out);
  /// RFC 3339, or a number of milliseconds since the Unix epoch (plausible_time.hpp).
  FieldOutcome moment(std::string_view field, Moment& out);

  /// A string was read that is kept as it was written: false, and said so, when it is longer than
  /// `bytes_max` decoded or has U+0000, which databases' texts cannot hold. `item`: which one.
  bool item_text(std::string_view field, std::size_t item, const JsonString& written,
                 std::size_t bytes_max) {
    if (!written.escaped && written.raw.size() <= bytes_max) [[likely]]
      return true;
    return odd_item_text(field, item, written, bytes_max);
  }

  /// The value that is next is not of the field's type: says so and passes over it.
  FieldOutcome wrong_type(std::string_view field, std::string_view expected);

  JsonReader& json() noexcept { return reader_; }
  DecodeContext& context() noexcept { return context_; }
  std::uint32_t unknown_fields() const noexcept { return unknown_; }
  /// How the last string value was written, without its quotes.
  std::string_view last_raw() const noexcept { return last_raw_; }

 private:
  bool fits(const JsonString& written, const TextLimits& limits);
  bool null_value() noexcept;
  void unknown(std::string_view name, std::uint32_t position);
  void unknown_value(std::uint32_t position);
  bool odd_item_text(std::string_view field, std::size_t item, const JsonString& written,
                     std::size_t bytes_max);
  void repeated(std::string_view field);

  JsonReader& reader_;
  DecodeContext& context_;
  std::uint32_t unknown_ = 0;
  std::string_view last_raw_;
};

/// The index of `name` in a constant list, or the list's size. Unrolled: each comparison is of a
/// length and bytes that the compiler knows, which beats a search by calls of memcmp.
template <const auto& names>
[[gnu::always_inline]] inline std::size_t index_of(std::string_view name) noexcept {
  return [name]<std::size_t... i>(std::index_sequence<i...>) {
    std::size_t found = sizeof...(i);
    static_cast<void>(((name.size() == names[i].size() &&
                        __builtin_memcmp(name.data(), names[i].data(), names[i].size()) == 0 &&
                        (found = i, true)) ||
                       ...));
    return found;
  }(std::make_index_sequence<names.size()>());
}

template <const auto& names, typename OnField>
bool FieldReader::object(OnField on_field) {
  static_assert(names.size() <= 64);
  if (!reader_.open('{')) return false;
  context_.unknown_names.clear();
  std::uint64_t seen = 0;
  std::uint32_t position = 0;
  bool first = true;
  while (JsonString written = reader_.next_member(first)) {
    std::string_view name = decode(written, context_.scratch);
    std::size_t field = index_of<names>(name);
    ++position;
    if (field == names.size()) {
      unknown(name, position);
    } else if ((seen >> field & 1) != 0) {
      repeated(names[field]);
    } else {
      seen |= std::uint64_t{1} << field;
      on_field(field);
    }
    if (reader_.failed()) return false;
  }
  return !reader_.failed();
}

}  // namespace trialwire::ingest
