// SPDX-License-Identifier: Apache-2.0
#include "record_text.hpp"

#include <openssl/evp.h>

namespace trialwire {

std::string_view name_of(journal::RecordKind kind) {
  switch (kind) {
    case journal::RecordKind::epro_report:
      return "epro_report";
    case journal::RecordKind::qol_answer:
      return "qol_answer";
    case journal::RecordKind::vital_sign:
      return "vital_sign";
    case journal::RecordKind::trial_metric:
      return "trial_metric";
    case journal::RecordKind::alert:
      return "alert";
    case journal::RecordKind::audit:
      return "audit";
    case journal::RecordKind::project_created:
      return "project_created";
  }
  return "unknown";
}

std::string_view name_of(journal::ContentType type) {
  switch (type) {
    case journal::ContentType::json:
      return "json";
    case journal::ContentType::json_legacy:
      return "json_legacy";
    case journal::ContentType::protobuf:
      return "protobuf";
  }
  return "unknown";
}

std::string base64(ByteView bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                             reinterpret_cast<const unsigned char*>(bytes.data()),
                             static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

}  // namespace trialwire
