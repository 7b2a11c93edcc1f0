// SPDX-License-Identifier: Apache-2.0
// A destination whose rows and cursor are durable together, in a file of the faulty disk: a
// database reduced to its one promise. A block of rows counts when its CRC is right and it follows
// the block before it.
#pragma once
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "fault/ledger.hpp"
#include "fault/verdict.hpp"
#include "support/faulty_files.hpp"

namespace trialwire::fault {

class ModelSink {
 public:
  ModelSink(support::FaultyFiles& disk, Ledger& ledger, Verdict& verdict);

  /// After a restart of the machine or the process: what is durable.
  Result<void> load(const Uuid& journal);
  Result<void> deliver(std::span<const journal::Record> records, const journal::Cursor& cursor);

  /// Out of reach: every delivery fails as unavailable.
  void pause(bool paused);

  std::uint64_t cursor() const;
  std::vector<Row> rows() const;
  bool has(std::uint64_t key) const;

 private:
  support::FaultyFiles& disk_;
  Ledger& ledger_;
  Verdict& verdict_;
  mutable std::mutex mutex_;
  std::unique_ptr<journal::File> file_;
  Uuid journal_;
  bool paused_ = false;
  std::uint64_t end_ = 0;  // of the file's valid blocks
  std::uint64_t cursor_ = 1;
  std::vector<Row> rows_;
  std::set<std::uint64_t> keys_;
};

}  // namespace trialwire::fault
