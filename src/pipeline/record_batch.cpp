// SPDX-License-Identifier: Apache-2.0
#include "pipeline/record_batch.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace trialwire::pipeline {
namespace {

constexpr std::size_t block_bytes = 256 << 10;

}  // namespace

RecordBatch::RecordBatch(std::size_t bytes_kept) : bytes_kept_(bytes_kept) {}

char* RecordBatch::reserve(std::size_t bytes) {
  while (block_ < blocks_.size() && blocks_[block_].size - used_ < bytes) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    std::size_t size = std::max(bytes, block_bytes);
    blocks_.push_back({std::make_unique_for_overwrite<char[]>(size), size});
    used_ = 0;
  }
  return blocks_[block_].text.get() + used_;
}

void RecordBatch::add(const journal::Record& record) {
  journal::Record& copy = records_.emplace_back(record);
  journal::RecordAttributes& attributes = copy.attributes;
  std::size_t bytes = attributes.principal.size() + attributes.origin.size() +
                      attributes.traceparent.size() + record.bytes.size();
  char* to = reserve(bytes);
  used_ += bytes;
  bytes_ += bytes;
  auto keep = [&to](std::string_view text) {
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    std::string_view kept(to, text.size());
    to += text.size();
    return kept;
  };
  attributes.principal = keep(attributes.principal);
  attributes.origin = keep(attributes.origin);
  attributes.traceparent = keep(attributes.traceparent);
  copy.bytes = as_bytes(keep(as_text(record.bytes)));
}

void RecordBatch::clear() {
  records_.clear();
  std::size_t kept = 0;
  std::erase_if(blocks_, [&](const Block& block) {
    if (kept + block.size > bytes_kept_) return true;
    kept += block.size;
    return false;
  });
  block_ = 0;
  used_ = 0;
  bytes_ = 0;
}

bool ends_between(const journal::Record& last, const journal::Record* next) noexcept {
  const Uuid& submission = last.attributes.submission;
  return next == nullptr || submission == Uuid{} || next->attributes.submission != submission;
}

}  // namespace trialwire::pipeline
