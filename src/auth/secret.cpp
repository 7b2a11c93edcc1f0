// SPDX-License-Identifier: Apache-2.0
#include "auth/secret.hpp"

#include <openssl/crypto.h>

#include <utility>

namespace trialwire::auth {

/// All of its memory: a text that was shortened leaves its end behind.
void Secret::cleanse(std::string& text) noexcept {
  text.resize(text.capacity());
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

void Secret::take(std::string& from) noexcept {
  text_ = std::move(from);
  cleanse(from);
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  cleanse(text_);
  take(other.text_);
  return *this;
}

}  // namespace trialwire::auth
