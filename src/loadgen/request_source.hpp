// SPDX-License-Identifier: Apache-2.0
// Where requests come from: generated reports, or the records of a file. A source belongs to one
// worker. Requests are numbered from 0 in the order taken, so that the number alone is enough to
// name the reports of a request when its answer arrives. Warm, taking allocates nothing unless
// bodies are compressed.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace trialwire::loadgen {

struct Burst {
  std::string_view bytes;    // whole requests; valid until the next `take`
  unsigned requests = 0;     // how many they are, at least 1 and at most as asked
  std::uint64_t number = 0;  // of the first of them
};

class RequestSource {
 public:
  virtual ~RequestSource() = default;
  virtual Burst take(unsigned requests_max) = 0;
  /// The reportIds of one request, in the order of its body; empty text where a record has none. Of
  /// generated records of another kind: run and number.
  [[nodiscard]] virtual std::vector<std::string> report_ids(std::uint64_t number) const = 0;
  /// Reports in the request with this number.
  [[nodiscard]] virtual std::uint64_t reports_in(std::uint64_t number) const noexcept = 0;
  /// Bytes of one report, as sent, on average.
  [[nodiscard]] virtual double report_bytes() const noexcept = 0;
};

/// What is sent; `path` of a kind is where it is taken in.
enum class RecordKind : std::uint8_t { report, qol, vital, metric };

/// "report", "qol", "vital" or "metric".
std::optional<RecordKind> parse_kind(std::string_view name) noexcept;
std::string_view default_path(RecordKind kind) noexcept;

struct RequestShape {
  std::string host;  // of the Host header
  std::string path;
  unsigned ndjson = 0;  // reports in a body; 0: one JSON object
  bool gzip = false;
  std::string token;  // bearer; empty: none
};

/// The head of a request with a body of so many bytes.
std::string request_head(const RequestShape& shape, std::size_t body_bytes);

struct GeneratedOptions {
  RequestShape shape;
  RecordKind kind = RecordKind::report;
  std::string run;          // 8 characters that make this run's reportIds its own
  std::string timestamp;    // RFC 3339, of every record
  std::uint64_t first = 0;  // number of the first report; below 10^12
  unsigned burst_max = 1;   // requests taken at once, at most
};

/// Records of about 220 bytes with all mandatory fields and some others: reports with comments and
/// two answers, answers to single questions, vital signs with five values in two foreign units, or
/// metrics. No two are the same, also across runs. They are rendered once; from record to record
/// only digits change in place: those that make it one of its own (reportId, question_id, the
/// device's sequence, an annotation), of patient, device or site, and of a value.
std::unique_ptr<RequestSource> generated_source(GeneratedOptions options);

struct FileRecord {
  std::string body;  // one JSON object
  std::string report_id;
};

/// Requests made of records in their order; after the last one the first follows.
Result<std::unique_ptr<RequestSource>> record_source(const std::vector<FileRecord>& records,
                                                     const RequestShape& shape, unsigned burst_max);

}  // namespace trialwire::loadgen
