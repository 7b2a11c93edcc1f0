// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "loadgen/gzip.hpp"
#include "loadgen/request_source.hpp"

namespace trialwire::loadgen {
namespace {

class RecordSource final : public RequestSource {
 public:
  RecordSource(const std::vector<FileRecord>& records, const RequestShape& shape,
               unsigned burst_max)
      : burst_max_(burst_max) {
    const std::size_t group = std::max(shape.ndjson, 1U);
    for (std::size_t at = 0; at < records.size(); at += group) {
      const auto end = std::min(at + group, records.size());
      requests_.push_back(make(std::span(records).subspan(at, end - at), shape));
    }
    report_bytes_ /= static_cast<double>(records.size());
  }

  Burst take(unsigned requests_max) override {
    const unsigned requests = std::min(requests_max, burst_max_);
    const Burst whole{requests_[next_].bytes, 1, taken_};
    if (requests == 1) {
      step();
      return whole;
    }
    out_.clear();
    for (unsigned i = 0; i < requests; ++i, step()) out_ += requests_[next_].bytes;
    return {out_, requests, taken_ - requests};
  }

  std::vector<std::string> report_ids(std::uint64_t number) const override {
    return requests_[number % requests_.size()].report_ids;
  }

  std::uint64_t reports_in(std::uint64_t number) const noexcept override {
    return requests_[number % requests_.size()].report_ids.size();
  }

  double report_bytes() const noexcept override { return report_bytes_; }

 private:
  struct Request {
    std::string bytes;
    std::vector<std::string> report_ids;
  };

  Request make(std::span<const FileRecord> records, const RequestShape& shape) {
    Request request;
    std::string body;
    for (const auto& record : records) {
      body += record.body;
      if (shape.ndjson > 0) body += '\n';
      report_bytes_ += static_cast<double>(record.body.size());
      request.report_ids.push_back(record.report_id);
    }
    if (shape.gzip) body = gzip(body);
    request.bytes = request_head(shape, body.size()) + body;
    return request;
  }

  void step() noexcept {
    ++taken_;
    if (++next_ == requests_.size()) next_ = 0;
  }

  unsigned burst_max_;
  std::vector<Request> requests_;
  std::string out_;
  std::size_t next_ = 0;
  std::uint64_t taken_ = 0;
  double report_bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<RequestSource>> record_source(const std::vector<FileRecord>& records,
                                                     const RequestShape& shape,
                                                     unsigned burst_max) {
  if (records.empty()) return fail(ErrorCode::invalid_argument, "there is no record to send");
  return std::make_unique<RecordSource>(records, shape, burst_max);
}

}  // namespace trialwire::loadgen
