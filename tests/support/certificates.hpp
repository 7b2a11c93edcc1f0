// SPDX-License-Identifier: Apache-2.0
// Certificates for tests of TLS: an authority, and what it signs.
#pragma once
#include <memory>
#include <string>

#include <openssl/types.h>

namespace trialwire::support {

class Authority {
 public:
  /// EC keys on P-256, signed with SHA-256.
  explicit Authority(const std::string& name);

  struct Signed {
    std::string certificate;  // PEM
    std::string key;          // PEM
  };
  /// Valid from an hour ago, or from an hour before its end; `valid_s` from now may be negative.
  Signed sign(const std::string& name, long valid_s = 3'600) const;
  std::string pem() const;

 private:
  std::shared_ptr<EVP_PKEY> key_;
  std::shared_ptr<X509> certificate_;
};

}  // namespace trialwire::support
