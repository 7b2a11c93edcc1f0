// SPDX-License-Identifier: Apache-2.0
#include "support/certificates.hpp"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "base/check.hpp"

namespace trialwire::support {
namespace {

std::shared_ptr<EVP_PKEY> new_key() {
  return {EVP_EC_gen("P-256"), EVP_PKEY_free};
}

template <typename Write>
std::string pem_of(Write write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
  TW_CHECK(write(bio.get()) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

void extend(X509& certificate, int kind, const char* value) {
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, kind, value), X509_EXTENSION_free);
  TW_CHECK(extension != nullptr && X509_add_ext(&certificate, extension.get(), -1) == 1);
}

std::shared_ptr<X509> new_certificate(const std::string& name, EVP_PKEY& key, long valid_s) {
  static long serial = 1;
  std::shared_ptr<X509> made(X509_new(), X509_free);
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), std::min(0L, valid_s) - 3'600);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), valid_s);
  X509_set_pubkey(made.get(), &key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return made;
}

}  // namespace

Authority::Authority(const std::string& name)
    : key_(new_key()), certificate_(new_certificate(name, *key_, 24L * 3'600)) {
  X509_set_issuer_name(certificate_.get(), X509_get_subject_name(certificate_.get()));
  extend(*certificate_, NID_basic_constraints, "critical,CA:TRUE");
  TW_CHECK(X509_sign(certificate_.get(), key_.get(), EVP_sha256()) > 0);
}

Authority::Signed Authority::sign(const std::string& name, long valid_s) const {
  const auto key = new_key();
  const auto certificate = new_certificate(name, *key, valid_s);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
  extend(*certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  TW_CHECK(X509_sign(certificate.get(), key_.get(), EVP_sha256()) > 0);
  return {pem_of([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); }),
          pem_of([&](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

std::string Authority::pem() const {
  return pem_of([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate_.get()); });
}

}  // namespace trialwire::support
