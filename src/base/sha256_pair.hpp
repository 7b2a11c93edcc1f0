// SPDX-License-Identifier: Apache-2.0
// SHA-256 of two texts at once. A round of SHA-256 waits for the one before it; the rounds of a
// second text fit into that time. Falls back to one after the other where the processor has no
// instructions for it. Any thread; no memory beyond the stack.
#pragma once
#include <array>
#include <cstddef>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"

namespace trialwire {

Sha256 sha256(ByteView text);
std::array<Sha256, 2> sha256_pair(ByteView first, ByteView second);

/// The digest of a text in leaves: of one leaf its SHA-256, of more the SHA-256 of their SHA-256s,
/// joined in order. Two leaves are hashed at once: a quarter faster where it was measured, see
/// docs/decisions/leaf-digest.md. An object belongs to one thread; warm, it does not allocate.
class LeafDigest {
 public:
  static constexpr std::size_t leaf_bytes = 16 << 10;
  static constexpr std::size_t pair_bytes = 2 * leaf_bytes;

  void begin() noexcept { leaves_.clear(); }
  /// The next `pair_bytes` of the text. More must follow, or nothing.
  void add_pair(ByteView pair);
  /// The rest, at most `pair_bytes`: the digest of all since `begin`.
  Sha256 finish(ByteView rest);
  /// The digest of a whole text.
  Sha256 digest(ByteView text);

 private:
  std::vector<Sha256> leaves_;
};

}  // namespace trialwire
