// SPDX-License-Identifier: Apache-2.0
// An address that is free, kept from other processes while the journal recovers: a taken port is
// found before anything is touched. Released just before the server binds it.
#pragma once
#include <string>

#include "base/error.hpp"

namespace trialwire {

class HeldAddress {
 public:
  /// `setting` names it in the error: "http.listen 127.0.0.1:8080 is taken by another process".
  /// Bound without SO_REUSEPORT, so that a process that listens with it is found too. An empty
  /// address holds nothing.
  static Result<HeldAddress> hold(const std::string& setting, const std::string& address);
  ~HeldAddress();
  HeldAddress(HeldAddress&& other) noexcept;
  HeldAddress& operator=(HeldAddress&&) = delete;

  void release() noexcept;

 private:
  explicit HeldAddress(int socket) noexcept : socket_(socket) {}
  int socket_ = -1;
};

}  // namespace trialwire
