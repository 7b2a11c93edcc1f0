// SPDX-License-Identifier: Apache-2.0
// What a client asks of a list, out of the query of its URL. Pure; any thread.
#pragma once
#include <cstdint>
#include <string_view>

#include "ingest/field_errors.hpp"
#include "storage/record_query.hpp"

namespace trialwire::query {

constexpr std::uint32_t list_limit_default = 100;

/// `text` is the target's query, as sent. Parameters, each at most once: those of the shape; since
/// (inclusive), until (exclusive), RFC 3339, of the record's own timestamp; limit, 1 to 1000,
/// default 100; cursor, the `next` of the page before. All that is wrong is added to `errors`, but
/// for a cursor that has the form of one and is none, which the database's key tells. An unknown
/// parameter is wrong. What was sent is never repeated.
storage::ListFilter parse_list_filter(std::string_view text, const storage::ListShape& shape,
                                      ingest::FieldErrors& errors);

}  // namespace trialwire::query
