// SPDX-License-Identifier: Apache-2.0
// Who says the same thing twice (DESIGN §2). A record's identity is a keyed hash over
//   principal, kind, study, and then the first of
//     1  the sender's id in the record (reportId, …)
//     2  the Idempotency-Key of the request, and the record's place in it
//     3  subject, the record's own time, and a hash of its bytes
// Its content hash is over the bytes as stored. Same identity and content: a retry. Same identity,
// other content: a conflict. By rule 2 the number of elements of an array is part of the content,
// so that a key which comes back with another number of them is a conflict; by rule 3 there is
// none.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/hash.hpp"
#include "base/uuid.hpp"
#include "ingest/kind.hpp"

namespace trialwire::ingest {

/// What the records of one request have in common.
struct IdentityScope {
  SipKey key;
  std::string_view principal;
  journal::RecordKind kind = journal::RecordKind::epro_report;
  std::string_view idempotency_key;
  std::string& text;  // to work in; its memory is kept
};

struct RecordIdentity {
  Hash128 identity;
  std::uint64_t content_hash = 0;
  bool by_request_key = false;  // rule 2
};

/// `place`: index within an array, line number within NDJSON, 0 for a lone object.
RecordIdentity identify(const IdentityScope& scope, const Decoded& record, std::string_view bytes,
                        std::uint32_t place);

/// The content hash of an array's element under rule 2.
std::uint64_t content_hash_with_count(SipKey key, std::uint64_t content_hash,
                                      std::uint32_t count) noexcept;

/// The same for every retry of an all-or-none request: from its first identity and its size.
Uuid submission_id(SipKey key, const Hash128& first, std::uint32_t count) noexcept;

}  // namespace trialwire::ingest
