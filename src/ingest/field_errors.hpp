// SPDX-License-Identifier: Apache-2.0
// What is wrong with a request, field by field, as the client will read it. Names are those of the
// schema, never of the sender, and messages hold no value that was sent: an answer does not repeat
// a patient's data. Lists a bounded number of errors and counts all. Memory is kept between uses.
#pragma once
#include <array>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace trialwire::ingest {

enum class Rule : std::uint8_t {
  required,
  type,
  range,
  length,
  format,
  duplicate,
  unknown,
  syntax,
  encoding,
  conflict,
  forbidden,
  count_,
};

std::string_view name_of(Rule rule) noexcept;

class FieldErrors {
 public:
  static constexpr std::uint32_t no_element = ~std::uint32_t{0};

  struct Entry {
    std::uint32_t element = no_element;  // index within a JSON array
    Rule rule = Rule::required;
    std::string_view field;  // static text; empty: the record or body as a whole
    std::uint32_t message_begin = 0;
    std::uint32_t message_bytes = 0;
  };

  explicit FieldErrors(std::uint32_t listed_max) : listed_max_(listed_max) {}

  void clear() noexcept;
  /// Errors that follow belong to this element of an array.
  void set_element(std::uint32_t element) noexcept { element_ = element; }

  template <typename... Args>
  void add(std::string_view field, Rule rule, fmt::format_string<Args...> format, Args&&... args) {
    if (!open(field, rule)) return;
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    close();
  }

  std::uint64_t total() const noexcept { return total_; }
  bool empty() const noexcept { return total_ == 0; }
  const Entry& first() const noexcept { return entries_.front(); }
  std::span<const Entry> listed() const noexcept { return entries_; }
  std::string_view message(const Entry& entry) const noexcept {
    return std::string_view(text_).substr(entry.message_begin, entry.message_bytes);
  }
  /// Errors by rule since the last `clear`.
  std::uint64_t count(Rule rule) const noexcept { return counts_[static_cast<std::size_t>(rule)]; }

  /// "qolScore: must be an integer from 0 to 10 (and 1 more)".
  void append_summary(std::string& to) const;
  /// `"errors":[{"field":"[2].qolScore","rule":"range","message":"…"},…]`.
  void append_json(std::string& to) const;

 private:
  bool open(std::string_view field, Rule rule);
  void close() noexcept;
  void append_path(std::string& to, const Entry& entry) const;

  std::uint32_t listed_max_;
  std::uint32_t element_ = no_element;
  std::uint64_t total_ = 0;
  std::array<std::uint64_t, static_cast<std::size_t>(Rule::count_)> counts_{};
  std::vector<Entry> entries_;
  std::string text_;
};

/// `{"field":"…","rule":"…","message":"…"}` without its opening brace: callers put members first.
void append_error_members(std::string& to, std::string_view field, Rule rule,
                          std::string_view message);

}  // namespace trialwire::ingest
