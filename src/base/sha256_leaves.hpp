// SPDX-License-Identifier: Apache-2.0
// The digest of a text in leaves, many of which are hashed at once: see
// docs/decisions/leaf-digest.md.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"

namespace trialwire {

/// Of one leaf its SHA-256, of more the SHA-256 of their SHA-256s, joined in order. An object
/// belongs to one thread; warm, it does not allocate.
class LeafDigest {
 public:
  static constexpr std::size_t leaf_bytes = 4 << 10;
  static constexpr std::size_t group_leaves = 16;
  static constexpr std::size_t group_bytes = group_leaves * leaf_bytes;

  enum class Way : unsigned char { pairs, lanes };
  /// The faster one here, measured once, in less than a millisecond. Both give the same.
  static Way fastest();

  explicit LeafDigest(Way way = fastest()) : way_(way) {}

  void begin() noexcept { leaves_.clear(); }
  /// The next `group_bytes` of the text. More must follow, or nothing.
  void add_group(ByteView group);
  /// The rest, at most `group_bytes`: the digest of all since `begin`.
  Sha256 finish(ByteView rest);
  /// The digest of a whole text.
  Sha256 digest(ByteView text);

 private:
  void add_whole_leaves(ByteView leaves);
  void add_in_pairs(ByteView text);

  Way way_;
  std::vector<Sha256> leaves_;
};

}  // namespace trialwire
