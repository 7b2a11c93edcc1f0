// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstring>

#include "base/check.hpp"
#include "loadgen/gzip.hpp"
#include "loadgen/request_source.hpp"

namespace trialwire::loadgen {
namespace {

constexpr std::size_t id_digits = 12;
constexpr std::size_t patient_digits = 5;
// What one `take` renders at most, so that large NDJSON bodies do not fill the processor's cache.
constexpr std::size_t burst_bytes_max = 256 << 10;

// Where the digits of one report are, from the start of its body.
struct Digits {
  std::size_t patient;
  std::size_t score;
  std::size_t id;
};

struct Rendered {
  std::string body;
  Digits digits;
};

Rendered render_report(const GeneratedOptions& options) {
  Rendered out;
  out.body = R"({"patientId":"P-)";
  out.digits.patient = out.body.size();
  out.body +=
      fmt::format(R"(00000","trialId":"ONC-2031","timestamp":"{}","qolScore":)", options.timestamp);
  out.digits.score = out.body.size();
  out.body += fmt::format(R"(0,"comments":"Slept well, mild nausea at noon.","reportId":"{}-)",
                          options.run);
  out.digits.id = out.body.size();
  out.body += std::string(id_digits, '0') + R"(","answers":{"MOBILITY":2,"PAIN":"slight"}})";
  return out;
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
    auto [body, digits] = render_report(options_);
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
      body[digits_.score] = text[id_digits - 1];
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

}  // namespace

std::string request_head(const RequestShape& shape, std::size_t body_bytes) {
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\n{}Content-Length: {}\r\n\r\n",
      shape.path, shape.host, shape.ndjson > 0 ? "application/x-ndjson" : "application/json",
      shape.gzip ? "Content-Encoding: gzip\r\n" : "", body_bytes);
}

std::unique_ptr<RequestSource> generated_source(GeneratedOptions options) {
  return std::make_unique<GeneratedSource>(std::move(options));
}

}  // namespace trialwire::loadgen
