// SPDX-License-Identifier: Apache-2.0
// Text that must not be found in memory after its use: overwritten when it goes, where it was moved
// from, too. Not copied.
#pragma once
#include <string>
#include <string_view>

namespace trialwire::auth {

class Secret {
 public:
  Secret() noexcept = default;
  /// Takes the text's memory; a short text, which has none of its own, is overwritten there.
  explicit Secret(std::string&& text) noexcept { take(text); }
  explicit Secret(std::string_view text) : text_(text) {}
  Secret(Secret&& other) noexcept { take(other.text_); }
  Secret& operator=(Secret&& other) noexcept;
  ~Secret() { cleanse(text_); }

  std::string_view view() const noexcept { return text_; }

 private:
  void take(std::string& from) noexcept;
  static void cleanse(std::string& text) noexcept;

  std::string text_;
};

}  // namespace trialwire::auth
