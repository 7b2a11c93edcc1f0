// SPDX-License-Identifier: Apache-2.0
// A request and the answer to it without a server: what a handler's unit test works with. Bodies
// are followed by exactly the padding that the interface promises, in memory of their own, which is
// overwritten as soon as the handler has returned: a view that outlives the call is found out.
#pragma once
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "net/exchange.hpp"
#include "net/response.hpp"

namespace trialwire::testing {

struct FakeResponse {
  int status = 0;  // 0: none yet
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;

  std::string_view header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return {};
  }
};

class FakeWriter final : public net::ResponseWriter {
 public:
  explicit FakeWriter(FakeResponse& to) : to_(to) {}
  ResponseWriter& start(net::Status status) override {
    TW_CHECK(to_.status == 0);
    to_.status = status;
    return *this;
  }
  ResponseWriter& header(std::string_view name, std::string_view value) override {
    to_.headers.emplace_back(name, value);
    return *this;
  }
  void body(std::string_view content_type, std::string_view content) override {
    to_.content_type = content_type;
    to_.body = content;
  }
  void finish() override {}
  void problem_body(std::string_view text, std::string_view detail_json) override {
    std::string content = R"({"type":"about:blank","status":)" + std::to_string(to_.status) +
                          R"(,"error":")" + std::string(text) + '"';
    if (!detail_json.empty()) content.append(",").append(detail_json);
    body("application/problem+json", content + "}");
  }
  void problem(ErrorCode code, std::string_view text, std::string_view detail_json) override {
    const ErrorTraits& error = traits(code);
    start(error.http);
    if (error.http == 503 || error.http == 429) header("Retry-After", "1");
    std::string content = R"({"type":"about:blank","title":")" + std::string(error.reason) +
                          R"(","status":)" + std::to_string(error.http) + R"(,"error":")" +
                          std::string(text) + '"';
    if (!detail_json.empty()) content.append(",").append(detail_json);
    body("application/problem+json", content + "}");
  }

 private:
  FakeResponse& to_;
};

struct FakeRequest {
  std::string path = "/v1/epro/reports";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

class FakeExchange final : public net::Exchange {
 public:
  static constexpr std::size_t arena_bytes = 4 << 20;

  explicit FakeExchange(auth::Principal principal = auth::anonymous(),
                        net::ConnectionInfo connection = {"http 127.0.0.1:5123"})
      : principal_(std::move(principal)),
        connection_(std::move(connection)),
        arena_(new char[arena_bytes]) {}
  ~FakeExchange() override { drop_answer(); }

  /// Makes this the exchange of another request. Reuses memory.
  void begin(const FakeRequest& request) {
    drop_answer();
    used_ = 0;
    response_.status = 0;
    response_.body.clear();
    response_.headers.clear();
    headers_.clear();
    for (const auto& [name, value] : request.headers) headers_.push_back({name, value});
    if (body_bytes_ < request.body.size() + net::body_padding) {
      body_bytes_ = request.body.size() + net::body_padding;
      body_.reset(new char[body_bytes_]);
    }
    // Towards the end, so that a sanitizer sees a read beyond the padding.
    char* body = body_.get() + body_bytes_ - request.body.size() - net::body_padding;
    request.body.copy(body, request.body.size());
    std::fill_n(body + request.body.size(), net::body_padding, '"');
    request_.method = net::Method::post;
    request_.path = request.path;
    request_.headers = headers_;
    request_.body = {body, request.body.size()};
  }

  /// Runs the handler; afterwards the request's bytes are gone.
  template <typename Handler>
  void run(Handler&& handler) {
    handler(static_cast<net::Exchange&>(*this));
    std::fill_n(body_.get(), body_bytes_, '#');
  }

  bool deferred() const noexcept { return answer_ != nullptr; }
  net::DeferredAnswer& answer() noexcept { return *answer_; }
  /// The answer, rendered if it was deferred.
  const FakeResponse& response() {
    if (answer_ != nullptr && response_.status == 0) answer_->render(writer_);
    return response_;
  }

  const net::Request& request() const noexcept override { return request_; }
  const net::ConnectionInfo& connection() const noexcept override { return connection_; }
  const auth::Principal& principal() const noexcept override { return principal_; }
  const telemetry::RequestTrace* trace() const noexcept override { return trace_; }
  /// Requests are traced from now on; null: not any more.
  void follow(const telemetry::RequestTrace* trace) noexcept { trace_ = trace; }
  runtime::Shard& shard() noexcept override { check_failed("no shard here", __FILE__, __LINE__); }
  void respond(net::Status status, std::string_view content_type, std::string_view body) override {
    writer_.start(status).body(content_type, body);
  }
  net::ResponseWriter& writer() override { return writer_; }
  void fail(const Error& error) override { writer_.problem(error.code, error.text, {}); }
  std::string_view keep(std::string_view text) override {
    char* place = static_cast<char*>(allocate_deferred(text.size(), 1));
    text.copy(place, text.size());
    return {place, text.size()};
  }

 protected:
  void* allocate_deferred(std::size_t size, std::size_t alignment) override {
    used_ = (used_ + alignment - 1) / alignment * alignment;
    TW_CHECK(used_ + size <= arena_bytes);
    void* place = arena_.get() + used_;
    used_ += size;
    return place;
  }
  void adopt_deferred(net::DeferredAnswer& answer) override {
    TW_CHECK(answer_ == nullptr);
    answer_ = &answer;
  }

 private:
  void drop_answer() noexcept {
    if (answer_ != nullptr) answer_->~DeferredAnswer();
    answer_ = nullptr;
  }

  auth::Principal principal_;
  net::ConnectionInfo connection_;
  std::unique_ptr<char[]> arena_;
  std::size_t used_ = 0;
  std::unique_ptr<char[]> body_;
  std::size_t body_bytes_ = 0;
  std::vector<net::HeaderField> headers_;
  const telemetry::RequestTrace* trace_ = nullptr;
  net::Request request_;
  net::DeferredAnswer* answer_ = nullptr;
  FakeResponse response_;
  FakeWriter writer_{response_};
};

}  // namespace trialwire::testing
