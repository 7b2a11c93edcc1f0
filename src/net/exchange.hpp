// SPDX-License-Identifier: Apache-2.0
// One request and its answer, as a handler sees them. The handler runs on the connection's shard
// and never blocks. It answers at once with `respond`, or leaves a DeferredAnswer that other work
// (a commit, a worker) completes; the connection writes all answers of one read together, in order.
//
// Views into the request (path, headers, body) die when the handler returns: what a deferred answer
// needs it must copy (`Exchange::keep`).
#pragma once
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "auth/principal.hpp"
#include "base/bytes.hpp"
#include "base/error.hpp"
#include "net/http.hpp"

namespace trialwire::runtime {
class Shard;
}
namespace trialwire::telemetry {
struct RequestTrace;
}

namespace trialwire::net {

class ResponseWriter;  // response.hpp: appends one HTTP response to the connection's output

/// Lives in the memory of the read that brought its request, until its answer is written.
/// Exactly one call of `complete` makes it ready; `render` is called after that, on the shard.
class DeferredAnswer {
 public:
  virtual ~DeferredAnswer() = default;
  virtual void render(ResponseWriter& writer) = 0;
  /// The request's deadline has passed, or the client has gone. True: the work was taken back and
  /// `complete` will not be called. False: it will still come (the answer is then not sent).
  virtual bool abandon() noexcept { return false; }

  /// On the shard's thread, exactly once: the answer can be rendered. Not in the constructor.
  /// The connection goes on later in the turn, never within the call; but an answer that nobody
  /// waits for any longer is destroyed by it: touch nothing of the answer afterwards.
  void complete() noexcept;

 private:
  friend class ReadContext;
  class ReadContext* context_ = nullptr;
  bool complete_ = false;
  bool detached_ = false;
};

/// Peer and listener of a connection; the same object for all its requests.
struct ConnectionInfo {
  std::string origin;  // "http 127.0.0.1:5123", as the journal stores it
};

class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const Request& request() const noexcept = 0;
  virtual const ConnectionInfo& connection() const noexcept = 0;
  /// Whom the request is from, as its token says; `auth::anonymous()` where none is asked for.
  /// Valid until the handler returns.
  virtual const auth::Principal& principal() const noexcept = 0;
  virtual runtime::Shard& shard() noexcept = 0;
  /// Null: the request is not traced. Lives as long as a deferred answer.
  virtual const telemetry::RequestTrace* trace() const noexcept { return nullptr; }

  /// Answers now; both texts are copied.
  virtual void respond(Status status, std::string_view content_type, std::string_view body) = 0;
  /// Answers now with full control of headers.
  virtual ResponseWriter& writer() = 0;
  /// application/problem+json of this error.
  virtual void fail(const Error& error) = 0;

  /// Places an answer that comes later. `T` derives from DeferredAnswer.
  template <typename T, typename... Args>
  T& defer(Args&&... args) {
    void* place = allocate_deferred(sizeof(T), alignof(T));
    T* answer = new (place) T(std::forward<Args>(args)...);
    adopt_deferred(*answer);
    return *answer;
  }

  /// Copies text to memory that lives as long as the deferred answer.
  virtual std::string_view keep(std::string_view text) = 0;

 protected:
  virtual void* allocate_deferred(std::size_t size, std::size_t alignment) = 0;
  virtual void adopt_deferred(DeferredAnswer& answer) = 0;
};

}  // namespace trialwire::net
