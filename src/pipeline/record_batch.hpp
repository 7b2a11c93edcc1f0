// SPDX-License-Identifier: Apache-2.0
// Records taken out of a reader so that they outlive its next call: one delivery's worth. Owned by
// one lane, used by its thread. Blocks never move and are kept up to `bytes_kept`; once warm,
// collecting does not allocate.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "journal/record.hpp"

namespace trialwire::pipeline {

class RecordBatch {
 public:
  /// What `clear` keeps of the memory: a burst of large records must not stay for ever.
  explicit RecordBatch(std::size_t bytes_kept);

  /// Copies the record with everything that it borrows.
  void add(const journal::Record& record);
  void clear();

  std::span<const journal::Record> records() const noexcept { return records_; }
  bool empty() const noexcept { return records_.empty(); }
  std::size_t size() const noexcept { return records_.size(); }
  /// Of the copied texts and bodies.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Block {
    std::unique_ptr<char[]> text;
    std::size_t size = 0;
  };
  char* reserve(std::size_t bytes);

  std::size_t bytes_kept_;
  std::vector<journal::Record> records_;
  std::vector<Block> blocks_;
  std::size_t block_ = 0;  // the one that is being filled
  std::size_t used_ = 0;   // of it
  std::size_t bytes_ = 0;
};

/// May the delivery end after `last`? Not inside a submission: all or none of it is delivered.
/// `next` is the record that follows in the same batch of the journal, null at its end (the journal
/// never splits a submission over batches).
bool ends_between(const journal::Record& last, const journal::Record* next) noexcept;

}  // namespace trialwire::pipeline
