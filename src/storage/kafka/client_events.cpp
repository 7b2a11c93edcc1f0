// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/client_events.hpp"

#include <openssl/x509_vfy.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace trialwire::storage::kafka {
namespace {

std::string why_refused(int x509_error, std::string_view broker) {
  const char* said = X509_verify_cert_error_string(x509_error);
  switch (x509_error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return fmt::format("the broker's certificate is not for the name {} ({})",
                         broker.substr(0, broker.rfind(':')), said);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return fmt::format(
          "the broker's certificate is of an authority that is not known here, "
          "see kafka.security.ca ({})",
          said);
    default:
      return fmt::format("the broker's certificate is refused ({})", said);
  }
}

}  // namespace

void ClientEvents::listen(rd_kafka_conf_t* config) {
  rd_kafka_conf_set_opaque(config, this);
  rd_kafka_conf_set_error_cb(config, on_error);
  rd_kafka_conf_set_ssl_cert_verify_cb(config, on_certificate);
}

void ClientEvents::on_error(rd_kafka_t*, int code, const char* reason, void* self) {
  ClientEvents& events = of(self);
  const auto error = static_cast<rd_kafka_resp_err_t>(code);
  std::string text = reason;
  if (error == RD_KAFKA_RESP_ERR__SSL) {
    if (std::string refusal = events.take_refusal(text); !refusal.empty()) {
      text = std::move(refusal);
    }
  }
  events.on_trouble(error, std::move(text));
}

/// For each certificate of a chain, with what OpenSSL found; whether the handshake may go on.
int ClientEvents::on_certificate(rd_kafka_t*, const char* broker, std::int32_t, int* x509_error,
                                 int, const char*, std::size_t, char* text, std::size_t text_bytes,
                                 void* self) {
  if (*x509_error == X509_V_OK) return 1;
  std::string why = why_refused(*x509_error, broker);
  if (text_bytes > 0) text[why.copy(text, text_bytes - 1)] = '\0';
  ClientEvents& events = of(self);
  std::lock_guard lock(events.mutex_);
  events.refusals_[broker] = std::move(why);
  return 0;
}

/// "ssl://127.0.0.1:9093/bootstrap: why", of the broker that the library's text begins with.
std::string ClientEvents::take_refusal(std::string_view text) {
  std::lock_guard lock(mutex_);
  const auto found = std::ranges::find_if(refusals_, [text](const auto& refusal) {
    return text.contains(fmt::format("//{}/", refusal.first));
  });
  if (found == refusals_.end()) return {};
  const std::string why = std::move(refusals_.extract(found).mapped());
  return fmt::format("{}: {}", text.substr(0, text.find(": ")), why);
}

}  // namespace trialwire::storage::kafka
