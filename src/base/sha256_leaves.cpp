// SPDX-License-Identifier: Apache-2.0
#include "base/sha256_leaves.hpp"

#include <algorithm>
#include <chrono>
#include <span>

#include "base/check.hpp"
#include "base/sha256_lanes.hpp"
#include "base/sha256_pair.hpp"

namespace trialwire {
namespace {

static_assert(LeafDigest::group_leaves == sha256_lanes);

// With fewer leaves than this in sixteen lanes, pairs are as fast.
constexpr std::size_t lanes_worth_it = 10;

LeafDigest::Way measure() {
  if (!sha256_lanes_available()) return LeafDigest::Way::pairs;
  const std::vector<std::byte> text(LeafDigest::group_bytes);
  auto best = [&](LeafDigest::Way way) {
    LeafDigest digest(way);
    auto shortest = std::chrono::steady_clock::duration::max();
    for (int i = 0; i < 5; ++i) {  // the first one warms up; a turn lost to others is left out
      const auto start = std::chrono::steady_clock::now();
      digest.begin();
      digest.add_group(text);
      shortest = std::min(shortest, std::chrono::steady_clock::now() - start);
    }
    return shortest;
  };
  const auto lanes = best(LeafDigest::Way::lanes);
  return lanes < best(LeafDigest::Way::pairs) ? LeafDigest::Way::lanes : LeafDigest::Way::pairs;
}

}  // namespace

LeafDigest::Way LeafDigest::fastest() {
  static const Way way = measure();
  return way;
}

void LeafDigest::add_group(ByteView group) {
  TW_CHECK(group.size() == group_bytes);
  add_whole_leaves(group);
}

/// At most a group.
void LeafDigest::add_whole_leaves(ByteView leaves) {
  const std::size_t count = leaves.size() / leaf_bytes;
  if (way_ == Way::pairs || count < lanes_worth_it) return add_in_pairs(leaves);
  std::array<const std::byte*, sha256_lanes> texts;
  for (std::size_t i = 0; i < texts.size(); ++i) {  // lanes that are left over hash the last again
    texts[i] = leaves.data() + std::min(i, count - 1) * leaf_bytes;
  }
  std::array<Sha256, sha256_lanes> digests;
  sha256_of_lanes(texts, leaf_bytes, digests);
  leaves_.insert(leaves_.end(), digests.begin(),
                 digests.begin() + static_cast<std::ptrdiff_t>(count));
}

void LeafDigest::add_in_pairs(ByteView text) {
  while (text.size() > leaf_bytes) {
    const std::size_t second = std::min(leaf_bytes, text.size() - leaf_bytes);
    const auto both = sha256_pair(text.first(leaf_bytes), text.subspan(leaf_bytes, second));
    leaves_.insert(leaves_.end(), both.begin(), both.end());
    text = text.subspan(leaf_bytes + second);
  }
  if (!text.empty()) leaves_.push_back(sha256(text));
}

Sha256 LeafDigest::finish(ByteView rest) {
  TW_CHECK(rest.size() <= group_bytes);
  const std::size_t whole = rest.size() / leaf_bytes * leaf_bytes;
  if (way_ == Way::lanes && whole / leaf_bytes >= lanes_worth_it) {
    add_whole_leaves(rest.first(whole));
    rest = rest.subspan(whole);
  }
  add_in_pairs(rest);
  if (leaves_.empty()) return sha256({});
  if (leaves_.size() == 1) return leaves_.front();
  return sha256(std::as_bytes(std::span(leaves_)));
}

Sha256 LeafDigest::digest(ByteView text) {
  begin();
  while (text.size() > group_bytes) {
    add_group(text.first(group_bytes));
    text = text.subspan(group_bytes);
  }
  return finish(text);
}

}  // namespace trialwire
