// SPDX-License-Identifier: Apache-2.0
// Bounds of a patient's report: characters are code points, bytes are of UTF-8, both after JSON
// escapes are decoded.
#pragma once
#include <chrono>
#include <cstddef>

namespace trialwire::epro {

struct ReportLimits {
  std::size_t id_characters_max = 64;  // patientId, trialId, reportId, instrument…, visitId
  std::size_t site_id_characters_max = 255;
  std::size_t comments_bytes_max = 4096;
  std::size_t legacy_data_bytes_max = 4096;  // `data` of an older client's report
  std::size_t answers_max = 200;
  std::size_t answer_name_bytes_max = 64;
  std::size_t answer_text_bytes_max = 4096;
  // A timestamp outside is flagged, never refused (clinical conventions: 5 minutes, 30 days).
  std::chrono::seconds future_tolerance = std::chrono::minutes(5);
  std::chrono::seconds past_tolerance = std::chrono::days(30);
};

}  // namespace trialwire::epro
