// SPDX-License-Identifier: Apache-2.0
// The Exchange of HTTP/1.1: one object a listener and shard, used for one request after the other.
#pragma once
#include "net/exchange.hpp"
#include "net/http1_writer.hpp"
#include "net/read_context.hpp"
#include "telemetry/trace/tracer.hpp"

namespace trialwire::net {

class HttpExchange final : public Exchange {
 public:
  HttpExchange(runtime::Shard& shard, Http1Writer& writer, ContextPool& pool) noexcept
      : shard_(shard), writer_(writer), pool_(pool) {}

  /// The next request. `context` is the connection's, made here when it is needed first.
  void begin(const Request& request, const ConnectionInfo& connection,
             const auth::Principal& principal, ReadContext*& context) noexcept;
  /// No answer of the request before is looked for any longer.
  void forget() noexcept {
    slot_ = nullptr;
    trace_ = nullptr;
  }
  /// The request is traced. After `begin`, before its handler.
  void follow(const telemetry::RequestTrace& trace) noexcept;
  /// The place of the answer that the handler has deferred; null: it has answered, or not at all.
  AnswerSlot* deferred() const noexcept { return slot_; }

  const Request& request() const noexcept override { return *request_; }
  const ConnectionInfo& connection() const noexcept override { return *connection_; }
  const auth::Principal& principal() const noexcept override { return *principal_; }
  runtime::Shard& shard() noexcept override { return shard_; }
  const telemetry::RequestTrace* trace() const noexcept override { return trace_; }
  void respond(Status status, std::string_view content_type, std::string_view body) override;
  ResponseWriter& writer() override;
  void fail(const Error& error) override;
  std::string_view keep(std::string_view text) override { return context().keep(text); }

 protected:
  void* allocate_deferred(std::size_t size, std::size_t alignment) override;
  void adopt_deferred(DeferredAnswer& answer) override;

 private:
  ReadContext& context() noexcept;

  runtime::Shard& shard_;
  Http1Writer& writer_;
  ContextPool& pool_;
  const Request* request_ = nullptr;
  const ConnectionInfo* connection_ = nullptr;
  const auth::Principal* principal_ = nullptr;
  ReadContext** context_ = nullptr;
  AnswerSlot* slot_ = nullptr;
  const telemetry::RequestTrace* trace_ = nullptr;
};

}  // namespace trialwire::net
