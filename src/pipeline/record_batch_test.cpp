// SPDX-License-Identifier: Apache-2.0
#include "pipeline/record_batch.hpp"

#include <gtest/gtest.h>

#include <string>

namespace trialwire::pipeline {
namespace {

TEST(RecordBatch, keeps_what_the_record_borrowed) {
  RecordBatch batch(1 << 20);
  {
    std::string body = "body", principal = "p", origin = "http 127.0.0.1:1", trace;
    journal::Record record;
    record.sequence = 7;
    record.bytes = as_bytes(body);
    record.attributes.principal = principal;
    record.attributes.origin = origin;
    record.attributes.traceparent = trace;
    batch.add(record);
    body = principal = origin = "overwritten by the next read";
  }
  ASSERT_EQ(batch.size(), 1U);
  const journal::Record& kept = batch.records()[0];
  EXPECT_EQ(kept.sequence, 7U);
  EXPECT_EQ(as_text(kept.bytes), "body");
  EXPECT_EQ(kept.attributes.principal, "p");
  EXPECT_EQ(kept.attributes.origin, "http 127.0.0.1:1");
  EXPECT_EQ(kept.attributes.traceparent, "");
  EXPECT_EQ(batch.bytes(), 4U + 1 + 16);
}

TEST(RecordBatch, views_stay_valid_while_it_grows) {
  RecordBatch batch(1 << 20);
  for (int i = 0; i < 5'000; ++i) {
    std::string body = std::to_string(i) + std::string(200, 'x');
    journal::Record record;
    record.bytes = as_bytes(body);
    batch.add(record);
  }
  for (int i = 0; i < 5'000; ++i) {
    auto text = as_text(batch.records()[static_cast<std::size_t>(i)].bytes);
    ASSERT_EQ(text, std::to_string(i) + std::string(200, 'x'));
  }
}

TEST(RecordBatch, a_record_larger_than_any_block_fits_and_its_memory_is_given_back) {
  RecordBatch batch(1 << 20);
  std::string body(3 << 20, 'y');
  journal::Record record;
  record.bytes = as_bytes(body);
  batch.add(record);
  EXPECT_EQ(as_text(batch.records()[0].bytes), body);
  batch.clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.bytes(), 0U);
  body = "small";
  record.bytes = as_bytes(body);
  batch.add(record);
  EXPECT_EQ(as_text(batch.records()[0].bytes), "small");
}

}  // namespace
}  // namespace trialwire::pipeline
