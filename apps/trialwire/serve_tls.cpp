// SPDX-License-Identifier: Apache-2.0
#include "serve_tls.hpp"

#include <utility>

#include <fmt/format.h>

namespace trialwire {

TlsService::TlsService(const config::TlsSettings& settings,
                       std::unique_ptr<net::TlsCertificates> certificates)
    : refresh_(settings.refresh), certificates_(std::move(certificates)) {}

Result<std::unique_ptr<TlsService>> TlsService::make(const config::TlsSettings& settings,
                                                     telemetry::Registry& metrics) {
  auto certificates = net::TlsCertificates::open(
      {.certificate = settings.cert, .key = settings.key, .client_ca = settings.client_ca},
      metrics);
  if (!certificates) {
    return fail(certificates.error().code, fmt::format("http.tls: {}", certificates.error().text));
  }
  return std::unique_ptr<TlsService>(new TlsService(settings, std::move(*certificates)));
}

void TlsService::refresh_on(runtime::Shard& control) {
  control.at_tick([this, &control] {
    const std::int64_t now_ns = control.now_ns();
    if (now_ns - refreshed_ns_ < refresh_.count()) return;
    refreshed_ns_ = now_ns;
    certificates_->refresh(control.unix_now_ns() / 1'000'000'000);
  });
}

}  // namespace trialwire
