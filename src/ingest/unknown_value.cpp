// SPDX-License-Identifier: Apache-2.0
#include "ingest/unknown_value.hpp"

#include "ingest/json_text.hpp"

namespace trialwire::ingest {
namespace {

class Walk {
 public:
  Walk(JsonReader& reader, NestedNames& names, Scratch& scratch, std::uint32_t fields_max) noexcept
      : reader_(reader), names_(names), scratch_(scratch), fields_max_(fields_max) {}

  /// Recurses as deep as the reader lets values be nested.
  void value(std::size_t level) {
    const char c = reader_.peek();
    if (c == '{') {
      object(level);
    } else if (c == '[') {
      array(level);
    } else {
      reader_.skip_value();
    }
  }

  UnknownValue found() const noexcept { return found_; }

 private:
  void object(std::size_t level) {
    if (!reader_.open('{')) return;
    KeySet& names = names_.at(level);
    names.clear();
    bool first = true;
    while (const JsonString name = reader_.next_member(first)) {
      if (names.size() == fields_max_) {
        found_.too_many = true;
      } else if (!names.insert(decode(name, scratch_))) {
        found_.repeats = true;
      }
      value(level + 1);
      if (reader_.failed()) return;
    }
  }

  void array(std::size_t level) {
    if (!reader_.open('[')) return;
    bool first = true;
    while (reader_.next_element(first)) {
      value(level + 1);
      if (reader_.failed()) return;
    }
  }

  JsonReader& reader_;
  NestedNames& names_;
  Scratch& scratch_;
  const std::uint32_t fields_max_;
  UnknownValue found_;
};

}  // namespace

UnknownValue pass_over(JsonReader& reader, NestedNames& names, Scratch& scratch,
                       std::uint32_t fields_max) {
  Walk walk(reader, names, scratch, fields_max);
  walk.value(0);
  return walk.found();
}

}  // namespace trialwire::ingest
