// SPDX-License-Identifier: Apache-2.0
#include "net/read_context.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "base/check.hpp"
#include "net/admission.hpp"

namespace trialwire::net {

ContextPool::~ContextPool() {
  while (free_ != nullptr) {
    Chunk* next = free_->next;
    std::free(free_);
    free_ = next;
  }
}

void ContextPool::close() noexcept {
  open_ = false;
  destroy_if_unused();
}

void ContextPool::destroy_if_unused() noexcept {
  if (!open_ && contexts_ == 0) delete this;
}

void* ContextPool::take_chunk() noexcept {
  if (free_ == nullptr) {
    void* chunk = std::malloc(chunk_bytes);
    TW_CHECK(chunk != nullptr);
    return chunk;
  }
  Chunk* chunk = free_;
  free_ = chunk->next;
  --kept_;
  return chunk;
}

void ContextPool::give_chunk(void* chunk) noexcept {
  if (kept_ == kept_max) {
    std::free(chunk);
    return;
  }
  free_ = new (chunk) Chunk{free_};
  ++kept_;
}

ReadContext* ContextPool::take() noexcept {
  ++contexts_;
  auto* chunk = static_cast<char*>(take_chunk());
  return new (chunk) ReadContext(*this, chunk + sizeof(ReadContext), chunk + chunk_bytes);
}

void* ReadContext::allocate(std::size_t size, std::size_t alignment) noexcept {
  TW_CHECK(alignment <= alignof(std::max_align_t));
  auto align = [alignment](char* p) {
    auto address = reinterpret_cast<std::uintptr_t>(p);
    return p + ((alignment - address % alignment) % alignment);
  };
  char* place = align(free_);
  if (place > end_ || static_cast<std::size_t>(end_ - place) < size) {
    constexpr std::size_t header = alignof(std::max_align_t);
    static_assert(sizeof(Block) <= header);
    if (size > ContextPool::chunk_bytes / 2) {
      auto* block = static_cast<char*>(std::malloc(header + size));
      TW_CHECK(block != nullptr);
      large_ = new (block) Block{large_};
      return block + header;
    }
    auto* chunk = static_cast<char*>(pool_.take_chunk());
    chunks_ = new (chunk) Block{chunks_};
    end_ = chunk + ContextPool::chunk_bytes;
    place = chunk + header;
  }
  free_ = place + size;
  return place;
}

std::string_view ReadContext::keep(std::string_view text) noexcept {
  if (text.empty()) return {};
  auto* place = static_cast<char*>(allocate(text.size(), 1));
  std::memcpy(place, text.data(), text.size());
  return {place, text.size()};
}

AnswerSlot& ReadContext::add_slot(bool first) noexcept {
  auto* slot = new (allocate(sizeof(AnswerSlot), alignof(AnswerSlot))) AnswerSlot;
  if (head_ == nullptr) {
    head_ = tail_ = cursor_ = slot;
  } else if (first) {
    slot->next = head_;
    head_ = cursor_ = slot;
  } else {
    tail_->next = slot;
    tail_ = slot;
  }
  return *slot;
}

void ReadContext::adopt(DeferredAnswer& answer, AnswerSlot& slot) noexcept {
  answer.context_ = this;
  slot.answer = &answer;
  ++awaited_;
  ++outstanding_;
}

void ReadContext::completed(DeferredAnswer& answer) noexcept {
  TW_CHECK(!answer.complete_ && outstanding_ > 0);
  answer.complete_ = true;
  --outstanding_;
  if (orphan_) {
    if (outstanding_ == 0) destroy();
    return;
  }
  if (!answer.detached_ && --awaited_ == 0 && waiter_ != nullptr) waiter_->answers_ready();
}

void ReadContext::detach(AnswerSlot& slot, Status status) noexcept {
  slot.detached = true;
  slot.status = status;
  if (slot.answer->complete_) return;
  slot.answer->detached_ = true;
  --awaited_;
  // What `abandon` completes on the spot has been counted already.
  if (slot.answer->abandon() && !slot.answer->complete_) --outstanding_;
}

std::size_t ReadContext::detach_incomplete(Status status, std::int64_t until_ns) noexcept {
  std::size_t count = 0;
  for (AnswerSlot* slot = cursor_; slot != nullptr; slot = slot->next) {
    if (slot->detached || is_complete(*slot) || slot->deadline_ns > until_ns) continue;
    detach(*slot, status);
    ++count;
  }
  return count;
}

std::int64_t ReadContext::next_deadline_ns() const noexcept {
  std::int64_t next = AnswerSlot::never;
  if (!has_deadlines_) return next;
  for (const AnswerSlot* slot = cursor_; slot != nullptr; slot = slot->next) {
    if (!slot->detached && !is_complete(*slot)) next = std::min(next, slot->deadline_ns);
  }
  return next;
}

void ReadContext::release() noexcept {
  waiter_ = nullptr;
  if (outstanding_ == 0) {
    destroy();
    return;
  }
  orphan_ = true;
  ++pool_.orphans_;
}

void ReadContext::destroy() noexcept {
  for (AnswerSlot* slot = head_; slot != nullptr; slot = slot->next) {
    if (slot->answer != nullptr) std::destroy_at(slot->answer);
    if (slot->flying && pool_.admission_) pool_.admission_->left();
    if (slot->limit != 0 && pool_.admission_) pool_.admission_->left_route(slot->limit);
  }
  while (large_ != nullptr) {
    Block* next = large_->next;
    std::free(large_);
    large_ = next;
  }
  ContextPool& pool = pool_;
  if (orphan_) --pool.orphans_;
  --pool.contexts_;
  Block* chunk = chunks_;
  while (chunk != nullptr) {
    Block* next = chunk->next;
    pool.give_chunk(chunk);
    chunk = next;
  }
  pool.give_chunk(this);
  pool.destroy_if_unused();
}

void DeferredAnswer::complete() noexcept {
  // Without a connection, as in a handler's own test, there is nobody to tell.
  if (context_ != nullptr) context_->completed(*this);
}

}  // namespace trialwire::net
