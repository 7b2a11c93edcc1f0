// SPDX-License-Identifier: Apache-2.0
#include "net/read_context.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace trialwire::net {
namespace {

struct Answer final : DeferredAnswer {
  explicit Answer(int& alive_count, bool can_abandon = false)
      : alive(alive_count), abandonable(can_abandon) {
    ++alive;
  }
  ~Answer() override { --alive; }
  void render(ResponseWriter&) override {}
  bool abandon() noexcept override {
    ++abandoned;
    return abandonable;
  }
  int& alive;
  bool abandonable;
  int abandoned = 0;
};

struct Waiter final : AnswersWaiter {
  void answers_ready() noexcept override { ++calls; }
  int calls = 0;
};

struct Pool {
  ~Pool() { pool->close(); }
  ContextPool* pool = ContextPool::create();
};

Answer& add(ReadContext& context, int& alive, bool abandonable = false) {
  auto* answer = new (context.allocate(sizeof(Answer), alignof(Answer))) Answer(alive, abandonable);
  context.adopt(*answer, context.add_slot());
  return *answer;
}

TEST(ReadContext, tells_its_waiter_when_the_last_answer_is_complete) {
  Pool pool;
  int alive = 0;
  Waiter waiter;
  ReadContext* context = pool.pool->take();
  Answer& first = add(*context, alive);
  Answer& second = add(*context, alive);
  context->notify(&waiter);
  second.complete();
  EXPECT_EQ(waiter.calls, 0);
  EXPECT_TRUE(context->waits());
  first.complete();
  EXPECT_EQ(waiter.calls, 1);
  EXPECT_FALSE(context->waits());
  context->release();
  EXPECT_EQ(alive, 0);
}

TEST(ReadContext, keeps_the_order_of_requests_and_a_text_put_first) {
  Pool pool;
  int alive = 0;
  ReadContext* context = pool.pool->take();
  Answer& answer = add(*context, alive);
  context->add_slot().text = context->keep("last");
  context->add_slot(true).text = context->keep("first");
  EXPECT_EQ(context->front()->text, "first");
  context->pop();
  EXPECT_EQ(context->front()->answer, &answer);
  context->pop();
  EXPECT_EQ(context->front()->text, "last");
  context->pop();
  EXPECT_EQ(context->front(), nullptr);
  answer.complete();
  context->release();
}

TEST(ReadContext, an_orphan_returns_with_the_last_complete) {
  Pool pool;
  int alive = 0;
  ReadContext* context = pool.pool->take();
  Answer& taken_back = add(*context, alive, true);
  Answer& still_to_come = add(*context, alive, false);
  EXPECT_EQ(context->detach_incomplete(504), 2U);
  EXPECT_EQ(taken_back.abandoned, 1);
  EXPECT_EQ(still_to_come.abandoned, 1);
  EXPECT_FALSE(context->waits());
  context->release();
  EXPECT_EQ(pool.pool->orphans(), 1U);
  EXPECT_EQ(alive, 2);
  still_to_come.complete();
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(pool.pool->orphans(), 0U);
}

TEST(ReadContext, an_orphan_outlives_its_listener) {
  int alive = 0;
  ContextPool* pool = ContextPool::create();
  ReadContext* context = pool->take();
  Answer& answer = add(*context, alive);
  context->detach_incomplete(504);
  context->release();
  pool->close();
  answer.complete();
  EXPECT_EQ(alive, 0);
}

TEST(ReadContext, a_detached_answer_is_not_waited_for_but_the_others_are) {
  Pool pool;
  int alive = 0;
  Waiter waiter;
  ReadContext* context = pool.pool->take();
  Answer& failed = add(*context, alive);
  Answer& good = add(*context, alive);
  context->notify(&waiter);
  context->detach(*context->front(), 500);
  EXPECT_TRUE(context->waits());
  failed.complete();
  EXPECT_EQ(waiter.calls, 0);
  good.complete();
  EXPECT_EQ(waiter.calls, 1);
  context->release();
  EXPECT_EQ(alive, 0);
}

TEST(ReadContext, holds_many_answers_and_large_texts) {
  Pool pool;
  int alive = 0;
  ReadContext* context = pool.pool->take();
  std::vector<Answer*> answers;
  std::string large(100'000, 'x');
  std::vector<std::string_view> kept;
  for (int i = 0; i < 500; ++i) {
    answers.push_back(&add(*context, alive));
    kept.push_back(context->keep(i % 100 == 0 ? large : std::to_string(i)));
  }
  for (std::size_t i = 0; i < kept.size(); ++i)
    EXPECT_EQ(kept[i], i % 100 == 0 ? large : std::to_string(i));
  for (Answer* answer : answers) answer->complete();
  context->release();
  EXPECT_EQ(alive, 0);
}

TEST(ReadContext, a_context_with_one_answer_fits_one_chunk) {
  Pool pool;
  ReadContext* context = pool.pool->take();
  auto* begin = reinterpret_cast<char*>(context);
  context->add_slot();
  auto* place = static_cast<char*>(context->allocate(512, 8));
  EXPECT_LE(place + 512, begin + ContextPool::chunk_bytes);
  context->release();
}

TEST(ReadContextDeathTest, completing_twice_ends_the_process) {
  Pool pool;
  int alive = 0;
  ReadContext* context = pool.pool->take();
  Answer& answer = add(*context, alive);
  answer.complete();
  EXPECT_DEATH(answer.complete(), "complete_");
  context->release();
}

}  // namespace
}  // namespace trialwire::net
