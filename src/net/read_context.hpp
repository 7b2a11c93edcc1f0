// SPDX-License-Identifier: Apache-2.0
// The answers to the requests of one read, in order, and the memory they live in.
//
// A ReadContext is made when a read brings its first request that is not answered at once. Its
// answers are bump-allocated from 1 KiB chunks that the pool recycles; warm, nothing allocates, and
// a connection that waits for one answer costs one chunk. Shard's thread only.
//
// The connection gives its context back with `release`. If answers are still to come (a deadline
// has passed, the client has gone), the context is an orphan: it waits for the last `complete` and
// returns to the pool then. The pool outlives its listener for the sake of orphans.
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>

#include "net/exchange.hpp"
#include "net/http.hpp"
#include "net/rate_note.hpp"
#include "net/router.hpp"
#include "resilience/breaker.hpp"

namespace trialwire::telemetry {
struct RequestTrace;
}

namespace trialwire::net {

class Admission;
class ReadContext;

/// Chunks of all contexts of one listener. Destroys itself when its listener and the last orphan
/// are gone.
class ContextPool {
 public:
  static constexpr std::size_t chunk_bytes = 1024;
  /// Chunks kept for reuse; more go back to the heap.
  static constexpr std::size_t kept_max = 4096;

  /// `admission` is told of what still flies when its context ends; null: nobody counts.
  static ContextPool* create(std::shared_ptr<Admission> admission = nullptr) {
    return new ContextPool(std::move(admission));
  }
  /// The listener goes away.
  void close() noexcept;

  ReadContext* take() noexcept;
  /// Contexts whose connection is gone.
  std::size_t orphans() const noexcept { return orphans_; }

 private:
  friend class ReadContext;
  struct Chunk {
    Chunk* next;
  };
  explicit ContextPool(std::shared_ptr<Admission> admission) noexcept
      : admission_(std::move(admission)) {}
  ~ContextPool();
  void* take_chunk() noexcept;
  void give_chunk(void* chunk) noexcept;
  void destroy_if_unused() noexcept;

  std::shared_ptr<Admission> admission_;  // orphans outlive their listener
  Chunk* free_ = nullptr;
  std::size_t kept_ = 0;
  std::size_t contexts_ = 0;
  std::size_t orphans_ = 0;
  bool open_ = true;
};

/// One request's place in the order of answers.
struct AnswerSlot {
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

  AnswerSlot* next = nullptr;
  std::int64_t deadline_ns = never;  // the client's own, of the shard's clock
  DeferredAnswer* answer = nullptr;  // null: `text` is the whole response
  std::string_view text;
  const Route* route = nullptr;
  Method method = Method::other;
  Status status = 0;  // of `text`, or to be answered in place of a detached answer
  bool head_only = false;
  bool close = false;  // the client asked for it, or the server will
  bool keep_alive_1_0 = false;
  bool detached = false;  // not waited for: `status` is answered in its place
  bool flying = false;    // the admission is to be told when it ends
  bool hurried = false;   // the client waits less than the server would
  /// What the route's breaker is to be told of; refused: nothing.
  resilience::Breaker::Call call = resilience::Breaker::Call::refused;
  std::uint16_t limit = 0;  // likewise, of a path's limit; 0: of none
  RateNote rate;
  const telemetry::RequestTrace* trace = nullptr;
};

/// Told when no answer is waited for any longer.
class AnswersWaiter {
 public:
  virtual void answers_ready() noexcept = 0;

 protected:
  ~AnswersWaiter() = default;
};

class ReadContext {
 public:
  void* allocate(std::size_t size, std::size_t alignment) noexcept;
  std::string_view keep(std::string_view text) noexcept;

  /// Appends a place; `first` puts it before all others.
  AnswerSlot& add_slot(bool first = false) noexcept;
  /// From now on `complete` counts.
  void adopt(DeferredAnswer& answer, AnswerSlot& slot) noexcept;

  /// The client waits for this one until then only.
  void set_deadline(AnswerSlot& slot, std::int64_t deadline_ns) noexcept {
    slot.deadline_ns = deadline_ns;
    has_deadlines_ = true;
  }

  bool waits() const noexcept { return awaited_ != 0; }
  /// `waiter` is told when nothing is waited for any more; null: nobody.
  void notify(AnswersWaiter* waiter) noexcept { waiter_ = waiter; }

  /// The next place to render; null after the last.
  AnswerSlot* front() noexcept { return cursor_; }
  void pop() noexcept { cursor_ = cursor_->next; }
  static bool is_complete(const AnswerSlot& slot) noexcept {
    return slot.answer == nullptr || slot.answer->complete_;
  }

  /// Takes one answer out of what is waited for: its work is abandoned, `status` answered instead.
  void detach(AnswerSlot& slot, Status status) noexcept;
  /// `detach` for all that are incomplete, and whose own deadline is not after `until_ns`; how
  /// many.
  std::size_t detach_incomplete(Status status, std::int64_t until_ns = AnswerSlot::never) noexcept;
  /// The earliest deadline of those that are incomplete.
  std::int64_t next_deadline_ns() const noexcept;

  /// Ends the connection's use. Undefined to touch the context afterwards.
  void release() noexcept;

 private:
  friend class ContextPool;
  friend class DeferredAnswer;
  struct Block {
    Block* next;
  };
  ReadContext(ContextPool& pool, char* free, char* end) noexcept
      : pool_(pool), free_(free), end_(end) {}
  void completed(DeferredAnswer& answer) noexcept;
  void destroy() noexcept;

  ContextPool& pool_;
  char* free_;
  char* end_;
  Block* chunks_ = nullptr;  // behind the one that holds this object
  Block* large_ = nullptr;   // from the heap: what no chunk can hold
  AnswerSlot* head_ = nullptr;
  AnswerSlot* tail_ = nullptr;
  AnswerSlot* cursor_ = nullptr;
  AnswersWaiter* waiter_ = nullptr;
  std::uint32_t awaited_ = 0;      // the connection waits for these
  std::uint32_t outstanding_ = 0;  // `complete` will be called for these
  bool orphan_ = false;
  bool has_deadlines_ = false;
};

}  // namespace trialwire::net
