// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/check.hpp"
#include "loadgen/gzip.hpp"
#include "loadgen/request_source.hpp"

namespace trialwire::loadgen {
namespace {

constexpr std::size_t id_digits = 12;
constexpr std::size_t patient_digits = 5;
// What one `take` renders at most, so that large NDJSON bodies do not fill the processor's cache.
constexpr std::size_t burst_bytes_max = 256 << 10;

// Where the digits of one record are, from the start of its body.
struct Digits {
  std::size_t patient = 0;
  std::size_t value = 0;
  std::size_t id = 0;
};

struct Rendered {
  std::string body;
  Digits digits;
};

// Appends the pieces of a record and notes where digits will be patched.
class Renderer {
 public:
  Renderer& text(std::string_view text) {
    out_.body += text;
    return *this;
  }
  Renderer& patient() { return digits(out_.digits.patient, patient_digits); }
  Renderer& value() { return digits(out_.digits.value, 1); }
  Renderer& id() { return digits(out_.digits.id, id_digits); }
  Rendered take() { return std::move(out_); }

 private:
  Renderer& digits(std::size_t& at, std::size_t count) {
    at = out_.body.size();
    out_.body.append(count, '0');
    return *this;
  }
  Rendered out_;
};

Rendered render_report(const GeneratedOptions& options) {
  Renderer to;
  to.text(R"({"patientId":"P-)").patient().text(R"(","trialId":"ONC-2031","timestamp":")");
  to.text(options.timestamp).text(R"(","qolScore":)").value();
  to.text(R"(,"comments":"Slept well, mild nausea at noon.","reportId":")").text(options.run);
  to.text("-").id().text(R"(","answers":{"MOBILITY":2,"PAIN":"slight"}})");
  return to.take();
}

Rendered render_answer(const GeneratedOptions& options) {
  Renderer to;
  to.text(R"({"patient_id":"P-)").patient().text(R"(","question_id":"Q-)").text(options.run);
  to.text("-").id().text(R"(","answer":)").value().text(R"(,"submit_time":")");
  to.text(options.timestamp);
  to.text(R"(","trial_id":"ONC-2031","instrument":"EORTC QLQ-C30","visit_id":"WEEK 4"})");
  return to.take();
}

// A counter has no leading zeros, so that a 1 stands before its digits.
Rendered render_vital(const GeneratedOptions& options) {
  Renderer to;
  to.text(R"({"deviceId":")").text(options.run).text("-").patient();
  to.text(R"(","timestamp":")").text(options.timestamp).text(R"(","heartRate":7)").value();
  to.text(R"(,"bloodOxygen":97,"systolic":121,"diastolic":78,"temperature":98.4,)");
  to.text(R"("units":{"temperature":"[degF]","heartRate":"BEATS/MIN"},)");
  to.text(R"("patientId":"P-00001","trialId":"ONC-2031","sequence":1)").id().text("}");
  return to.take();
}

Rendered render_metric(const GeneratedOptions& options) {
  Renderer to;
  to.text(R"({"metricId":"SUBJECTS_ENROLLED","studyId":"ONC-2031","siteId":"S-)").patient();
  to.text(R"(","value":4)").value().text(R"(.25,"timestamp":")").text(options.timestamp);
  to.text(R"(","annotations":["weekly count, checked by hand",")").text(options.run).text("-");
  to.id().text(R"("]})");
  return to.take();
}

Rendered render(const GeneratedOptions& options) {
  switch (options.kind) {
    case RecordKind::report:
      break;
    case RecordKind::qol:
      return render_answer(options);
    case RecordKind::vital:
      return render_vital(options);
    case RecordKind::metric:
      return render_metric(options);
  }
  return render_report(options);
}

// A decimal number of fixed width that counts up in its text: a carry once in ten steps costs less
// than converting each number anew.
class DecimalCounter {
 public:
  explicit DecimalCounter(std::uint64_t value) : text_(fmt::format("{:0{}}", value, id_digits)) {
    TW_CHECK(text_.size() == id_digits);
  }
  [[nodiscard]] const char* text() const noexcept { return text_.data(); }
  void increment() noexcept {
    for (std::size_t i = id_digits; i-- > 0;) {
      if (text_[i] != '9') {
        ++text_[i];
        return;
      }
      text_[i] = '0';
    }
  }

 private:
  std::string text_;
};

class GeneratedSource final : public RequestSource {
 public:
  explicit GeneratedSource(GeneratedOptions options)
      : options_(std::move(options)),
        reports_(std::max(options_.shape.ndjson, 1U)),
        counter_(options_.first) {
    auto [body, digits] = render(options_);
    digits_ = digits;
    if (options_.shape.ndjson > 0) body += '\n';
    report_bytes_ = body.size();
    for (unsigned i = 0; i < reports_; ++i) bodies_ += body;
    if (options_.shape.gzip) return;
    const auto head = request_head(options_.shape, bodies_.size());
    const auto request = head + bodies_;
    head_bytes_ = head.size();
    request_bytes_ = request.size();
    const auto fit = std::max<std::size_t>(burst_bytes_max / request_bytes_, 1);
    burst_ = static_cast<unsigned>(std::min<std::size_t>(options_.burst_max, fit));
    for (unsigned i = 0; i < burst_; ++i) out_ += request;
  }

  Burst take(unsigned requests_max) override {
    if (options_.shape.gzip) return take_compressed();
    const unsigned requests = std::min(requests_max, burst_);
    for (unsigned i = 0; i < requests; ++i) {
      patch(out_.data() + i * request_bytes_ + head_bytes_);
    }
    const Burst burst{{out_.data(), requests * request_bytes_}, requests, taken_};
    taken_ += requests;
    return burst;
  }

  std::vector<std::string> report_ids(std::uint64_t number) const override {
    std::vector<std::string> ids;
    ids.reserve(reports_);
    for (std::uint64_t i = 0; i < reports_; ++i) {
      ids.push_back(fmt::format("{}-{:0{}}", options_.run, options_.first + number * reports_ + i,
                                id_digits));
    }
    return ids;
  }

  std::uint64_t reports_in(std::uint64_t) const noexcept override { return reports_; }
  double report_bytes() const noexcept override { return static_cast<double>(report_bytes_); }

 private:
  void patch(char* body) noexcept {
    for (unsigned i = 0; i < reports_; ++i, body += report_bytes_) {
      const char* text = counter_.text();
      std::memcpy(body + digits_.id, text, id_digits);
      std::memcpy(body + digits_.patient, text + id_digits - patient_digits, patient_digits);
      body[digits_.value] = text[id_digits - 1];
      counter_.increment();
    }
  }

  Burst take_compressed() {
    patch(bodies_.data());
    const auto packed = gzip(bodies_);
    out_ = request_head(options_.shape, packed.size()) + packed;
    return {out_, 1, taken_++};
  }

  GeneratedOptions options_;
  unsigned reports_;  // in a request
  DecimalCounter counter_;
  Digits digits_{};
  std::string bodies_;  // of one request
  std::string out_;     // `burst_` requests, or one compressed one
  unsigned burst_ = 1;
  std::size_t report_bytes_ = 0;
  std::size_t head_bytes_ = 0;
  std::size_t request_bytes_ = 0;
  std::uint64_t taken_ = 0;
};

struct KindTraits {
  std::string_view name;
  std::string_view path;
};
// In the order of RecordKind.
constexpr KindTraits kinds[] = {
    {"report", "/v1/epro/reports"},
    {"qol", "/v1/epro/qol"},
    {"vital", "/v1/vitals"},
    {"metric", "/v1/metrics"},
};

}  // namespace

std::optional<RecordKind> parse_kind(std::string_view name) noexcept {
  const auto found = std::ranges::find(kinds, name, &KindTraits::name);
  if (found == std::end(kinds)) return std::nullopt;
  return static_cast<RecordKind>(found - std::begin(kinds));
}

std::string_view default_path(RecordKind kind) noexcept {
  return kinds[static_cast<std::size_t>(kind)].path;
}

std::string request_head(const RequestShape& shape, std::size_t body_bytes) {
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\n{}{}Content-Length: {}\r\n\r\n",
      shape.path, shape.host, shape.ndjson > 0 ? "application/x-ndjson" : "application/json",
      shape.gzip ? "Content-Encoding: gzip\r\n" : "",
      shape.token.empty() ? "" : fmt::format("Authorization: Bearer {}\r\n", shape.token),
      body_bytes);
}

std::unique_ptr<RequestSource> generated_source(GeneratedOptions options) {
  return std::make_unique<GeneratedSource>(std::move(options));
}

}  // namespace trialwire::loadgen
