// SPDX-License-Identifier: Apache-2.0
// Wiring of TLS: its files, which are looked at again now and then.
#pragma once
#include <cstdint>
#include <memory>

#include "config/settings.hpp"
#include "net/tls.hpp"
#include "runtime/shard.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire {

class TlsService {
 public:
  /// Fails when the files cannot be used.
  static Result<std::unique_ptr<TlsService>> make(const config::TlsSettings& settings,
                                                  telemetry::Registry& metrics);

  /// Before the start of `control`, which it outlives.
  void refresh_on(runtime::Shard& control);
  const net::TlsCertificates& certificates() const noexcept { return *certificates_; }

 private:
  TlsService(const config::TlsSettings& settings,
             std::unique_ptr<net::TlsCertificates> certificates);

  const std::chrono::nanoseconds refresh_;
  std::int64_t refreshed_ns_ = 0;
  std::unique_ptr<net::TlsCertificates> certificates_;
};

}  // namespace trialwire
