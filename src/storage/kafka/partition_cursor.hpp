// SPDX-License-Identifier: Apache-2.0
// Where a sink is in a partition, for whoever has that now. A cursor that was once found beyond the
// partition's end was brought there by another topic of the same name: what it says is delivered
// are other messages. It is refused from then on, however far the partition grows, by every member
// of the group and after every restart: the sink itself keeps the refusal, as a cursor of an id of
// its own. It ends when the sink has another cursor than the one that was refused.
#pragma once
#include "base/error.hpp"
#include "base/uuid.hpp"
#include "journal/reader.hpp"
#include "pipeline/sink.hpp"
#include "storage/kafka/partition.hpp"

namespace trialwire::storage::kafka {

/// Under which a sink keeps the cursor of `partition` that is refused.
Uuid refusal_id(const Uuid& partition);

/// As Sink::durable_cursor of `partition`. Errors: the sink's; corrupt, when the cursor is beyond
/// `limit`, or was when that was noted: the text names both, and the way out. Within it the limit
/// is lifted, and a refusal of another cursor forgotten.
Result<journal::Cursor> partition_cursor(pipeline::Sink& sink, const Uuid& partition,
                                         const PartitionName& name, PartitionLimit& limit);

}  // namespace trialwire::storage::kafka
