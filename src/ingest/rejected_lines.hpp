// SPDX-License-Identifier: Apache-2.0
// The lines of an NDJSON body that were not taken, with all that is wrong with each, as the answer
// lists them. Filled while the body is read; what an answer needs later is copied out as two pieces
// of text, since the lines that turn out to be conflicts are known only after the commit.
// Bounds: every line has its first error listed; the further ones of all lines together are at most
// as many as an answer lists (`ingest.errors_listed`), and all are counted.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "ingest/field_errors.hpp"

namespace trialwire::ingest {

/// One error of a line. Those of a line stand together.
struct LineError {
  std::uint32_t line = 0;   // from 1
  std::uint32_t total = 0;  // of a line's first: errors of the line, listed or not; else 0
  Rule rule = Rule::syntax;
  std::string_view field;  // static text
  std::uint32_t message_begin = 0;
  std::uint32_t message_bytes = 0;
};

/// Errors and messages, perhaps copied elsewhere and at any alignment.
struct RejectedView {
  std::string_view bytes;
  std::string_view text;

  /// Errors, not lines.
  std::size_t size() const noexcept { return bytes.size() / sizeof(LineError); }
  LineError operator[](std::size_t index) const noexcept {
    return load_le<LineError>(bytes.data() + index * sizeof(LineError));
  }
  std::string_view message(const LineError& error) const noexcept {
    return text.substr(error.message_begin, error.message_bytes);
  }
};

class RejectedLines {
 public:
  void clear() noexcept {
    errors_.clear();
    text_.clear();
    lines_ = 0;
  }
  /// All that `errors` lists, as long as no more than `further_max` follow the first ones of lines.
  void add(std::uint32_t line, const FieldErrors& errors, std::uint32_t further_max);
  /// As another list has it: `error.total` says whether a new line begins.
  void add(const LineError& error, std::string_view message);

  std::size_t lines() const noexcept { return lines_; }
  /// Valid until the next change.
  RejectedView view() const noexcept {
    return {{reinterpret_cast<const char*>(errors_.data()), errors_.size() * sizeof(LineError)},
            text_};
  }

 private:
  std::vector<LineError> errors_;
  std::string text_;
  std::size_t lines_ = 0;
};

/// Appends for each line, with commas between,
/// `{"line":2,"field":"qolScore","rule":"range","message":"…"}` of its first error. Of several the
/// message ends in "(and 1 more)", and a member `errors` lists them, the first included.
void append_rejected(std::string& to, const RejectedView& rejected);

/// Appends `{"line":2,"field":"qolScore","rule":"range","message":"…"}` for each of the first
/// `limit` errors, with commas between.
void append_line_errors(std::string& to, const RejectedView& rejected, std::size_t limit);

/// "line 2: qolScore: must be an integer from 0 to 10 (and 3 more)": the first error, and how many
/// more all lines have.
void append_summary(std::string& to, const RejectedView& rejected);

}  // namespace trialwire::ingest
