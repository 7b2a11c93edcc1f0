// SPDX-License-Identifier: Apache-2.0
#include "journal/dedupe_merge.hpp"

namespace trialwire::journal {

RunMerge::RunMerge(std::vector<RunReader> inputs, unsigned partition_bits, std::int64_t oldest_ms)
    : sub_bits_(partition_bits - partition_bits_min),
      partition_bits_(partition_bits),
      oldest_ms_(oldest_ms),
      starts_((std::size_t{1} << sub_bits_) + 1) {
  for (RunReader& reader : inputs) inputs_.push_back({std::move(reader), {}, false});
}

Result<void> RunMerge::gather(Input& input) {
  while (!input.ended) {
    while (!input.left.empty()) {
      const DedupeEntry& entry = input.left.front();
      if (partition_of(entry.identity, partition_bits_min) != range_) return {};
      if (entry.received_ms() >= oldest_ms_) gathered_.push_back(entry);
      input.left = input.left.subspan(1);
    }
    auto block = input.reader.next_block();
    if (!block) return std::unexpected(block.error());
    input.left = *block;
    input.ended = block->empty();
  }
  return {};
}

Result<bool> RunMerge::step(RunWriter& to) {
  if (range_ >> partition_bits_min != 0) return false;
  gathered_.clear();
  for (Input& input : inputs_) {
    if (auto done = gather(input); !done) return std::unexpected(done.error());
  }
  const std::uint32_t mask = (std::uint32_t{1} << sub_bits_) - 1;
  auto part = [&](const DedupeEntry& e) {
    return partition_of(e.identity, partition_bits_) & mask;
  };
  std::ranges::fill(starts_, 0);
  for (const DedupeEntry& entry : gathered_) ++starts_[part(entry) + 1];
  for (std::size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
  order_.resize(gathered_.size());
  for (std::uint32_t i = 0; i < gathered_.size(); ++i) order_[starts_[part(gathered_[i])]++] = i;
  for (std::uint32_t i : order_) {
    if (auto added = to.add(gathered_[i]); !added) return std::unexpected(added.error());
  }
  ++range_;
  return true;
}

}  // namespace trialwire::journal
