// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/partition_cursor.hpp"

#include <algorithm>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "base/hash.hpp"

namespace trialwire::storage::kafka {
namespace {

constexpr std::uint64_t nothing = 1;  // as a sink says it of a journal that it does not know

Error refused(const journal::Cursor& found, const PartitionName& name) {
  return {ErrorCode::corrupt,
          fmt::format("the cursor is at offset {} of {}, which did not reach so far when it was "
                      "looked at: was the topic made anew? It is refused until the rows of "
                      "journal_id '{}' are deleted from sink_cursors; then everything that the "
                      "topic has is delivered, and what is in the database stays single",
                      found.next_sequence - 1, name.text(), found.journal.text())};
}

/// A sink stores a cursor only over the one that it read last.
Result<void> note(pipeline::Sink& sink, const Uuid& id, std::uint64_t next) {
  if (auto read = sink.durable_cursor(id); !read) return std::unexpected(read.error());
  return sink.deliver({}, {id, next});
}

}  // namespace

Uuid refusal_id(const Uuid& partition) {
  Sha256Hasher hasher;
  hasher.begin();
  hasher.update(as_bytes(std::string_view("trialwire refused cursor")));
  hasher.update(std::as_bytes(std::span(partition.bytes)));
  return digest_id(hasher.finish());
}

Result<journal::Cursor> partition_cursor(pipeline::Sink& sink, const Uuid& partition,
                                         const PartitionName& name, PartitionLimit& limit) {
  const Uuid id = refusal_id(partition);
  const auto noted = sink.durable_cursor(id);
  if (!noted) return noted;
  auto found = sink.durable_cursor(partition);
  if (!found) return found;
  const std::uint64_t next = found->next_sequence;
  if (noted->next_sequence != nothing && noted->next_sequence == next) {
    return std::unexpected(refused(*found, name));
  }
  if (next > limit.sequence) {
    if (auto stored = note(sink, id, next); !stored) return std::unexpected(stored.error());
    return std::unexpected(refused(*found, name));
  }
  limit.sequence = PartitionLimit::none;
  if (noted->next_sequence == nothing) return found;
  // Else it would be met again, where the partition has grown to it.
  if (auto stored = note(sink, id, nothing); !stored) return std::unexpected(stored.error());
  return sink.durable_cursor(partition);
}

}  // namespace trialwire::storage::kafka
