// SPDX-License-Identifier: Apache-2.0
// The lines of an NDJSON body that were not taken, with the reason of each, as the answer lists
// them. Filled while the body is read; what an answer needs later is copied out as two pieces of
// text, since the lines that turn out to be conflicts are known only after the commit.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "ingest/field_errors.hpp"

namespace trialwire::ingest {

struct RejectedLine {
  std::uint32_t line = 0;  // from 1
  Rule rule = Rule::syntax;
  std::string_view field;  // static text
  std::uint32_t message_begin = 0;
  std::uint32_t message_bytes = 0;
};

/// Entries and messages, perhaps copied elsewhere and at any alignment.
struct RejectedView {
  std::string_view bytes;
  std::string_view text;

  std::size_t size() const noexcept { return bytes.size() / sizeof(RejectedLine); }
  RejectedLine operator[](std::size_t index) const noexcept {
    return load_le<RejectedLine>(bytes.data() + index * sizeof(RejectedLine));
  }
  std::string_view message(const RejectedLine& line) const noexcept {
    return text.substr(line.message_begin, line.message_bytes);
  }
};

class RejectedLines {
 public:
  void clear() noexcept {
    lines_.clear();
    text_.clear();
  }
  /// The first error of `errors` stands for the line; how many more there are is said with it.
  void add(std::uint32_t line, const FieldErrors& errors);
  void add(std::uint32_t line, std::string_view field, Rule rule, std::string_view message);

  std::size_t size() const noexcept { return lines_.size(); }
  /// Valid until the next change.
  RejectedView view() const noexcept {
    return {{reinterpret_cast<const char*>(lines_.data()), lines_.size() * sizeof(RejectedLine)},
            text_};
  }

 private:
  std::vector<RejectedLine> lines_;
  std::string text_;
};

/// Appends `{"line":2,"field":"qolScore","rule":"range","message":"…"}` for each of the first
/// `limit` lines, with commas between.
void append_rejected(std::string& to, const RejectedView& rejected, std::size_t limit);

/// "line 2: qolScore: must be an integer from 0 to 10 (and 3 more)" of the first line.
void append_summary(std::string& to, const RejectedView& rejected);

}  // namespace trialwire::ingest
