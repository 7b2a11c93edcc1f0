// SPDX-License-Identifier: Apache-2.0
#include "net/http_exchange.hpp"

#include "base/check.hpp"

namespace trialwire::net {

void HttpExchange::begin(const Request& request, const ConnectionInfo& connection,
                         const auth::Principal& principal, ReadContext*& context) noexcept {
  request_ = &request;
  connection_ = &connection;
  principal_ = &principal;
  context_ = &context;
  slot_ = nullptr;
  trace_ = nullptr;
}

void HttpExchange::follow(const telemetry::RequestTrace& trace) noexcept {
  void* place = context().allocate(sizeof trace, alignof(telemetry::RequestTrace));
  trace_ = new (place) telemetry::RequestTrace(trace);
}

ResponseWriter& HttpExchange::writer() {
  TW_CHECK(slot_ == nullptr);
  return writer_;
}

void HttpExchange::respond(Status status, std::string_view content_type, std::string_view body) {
  writer().start(status).body(content_type, body);
}

void HttpExchange::fail(const Error& error) {
  writer().problem(error.code, error.text);
}

ReadContext& HttpExchange::context() noexcept {
  if (*context_ == nullptr) *context_ = pool_.take();
  return **context_;
}

void* HttpExchange::allocate_deferred(std::size_t size, std::size_t alignment) {
  TW_CHECK(slot_ == nullptr && !writer_.started());
  return context().allocate(size, alignment);
}

void HttpExchange::adopt_deferred(DeferredAnswer& answer) {
  slot_ = &context().add_slot();
  context().adopt(answer, *slot_);
}

}  // namespace trialwire::net
