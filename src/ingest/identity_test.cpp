// SPDX-License-Identifier: Apache-2.0
#include "ingest/identity.hpp"

#include <gtest/gtest.h>

namespace trialwire::ingest {
namespace {

struct Sender {
  std::string text;
  IdentityScope scope{{1, 2}, "alice", journal::RecordKind::epro_report, "", text};
};

Decoded report(std::string_view study, std::string_view id) {
  Decoded record;
  record.study = study;
  record.sender_id = id;
  record.subject = "P-1";
  record.instant_ns = 5;
  return record;
}

TEST(Identity, by_the_senders_id_leaves_the_content_out) {
  Sender sender;
  auto first = identify(sender.scope, report("T", "R-1"), "{1}", 0);
  auto again = identify(sender.scope, report("T", "R-1"), "{2}", 7);
  EXPECT_EQ(first.identity, again.identity);
  EXPECT_NE(first.content_hash, again.content_hash);
  EXPECT_FALSE(first.by_request_key);
}

TEST(Identity, differs_by_principal_kind_study_and_id) {
  Sender sender;
  auto first = identify(sender.scope, report("T", "R-1"), "{}", 0);
  EXPECT_NE(identify(sender.scope, report("T", "R-2"), "{}", 0).identity, first.identity);
  EXPECT_NE(identify(sender.scope, report("U", "R-1"), "{}", 0).identity, first.identity);
  EXPECT_NE(identify(sender.scope, report("TR", "-1"), "{}", 0).identity, first.identity);
  Sender bob;
  bob.scope.principal = "bob";
  EXPECT_NE(identify(bob.scope, report("T", "R-1"), "{}", 0).identity, first.identity);
  Sender other;
  other.scope.kind = journal::RecordKind::vital_sign;
  EXPECT_NE(identify(other.scope, report("T", "R-1"), "{}", 0).identity, first.identity);
}

TEST(Identity, by_request_key_depends_on_the_place) {
  Sender sender;
  sender.scope.idempotency_key = "K";
  auto first = identify(sender.scope, report("T", ""), "{}", 0);
  EXPECT_TRUE(first.by_request_key);
  EXPECT_NE(identify(sender.scope, report("T", ""), "{}", 1).identity, first.identity);
  EXPECT_EQ(identify(sender.scope, report("T", ""), "{2}", 0).identity, first.identity);
  EXPECT_NE(identify(sender.scope, report("T", "K"), "{}", 0).identity, first.identity)
      << "an id of the sender's is not a key of the request";
  SipKey key{1, 2};
  EXPECT_NE(content_hash_with_count(key, first.content_hash, 1),
            content_hash_with_count(key, first.content_hash, 2));
}

TEST(Identity, without_an_id_is_the_content) {
  Sender sender;
  auto first = identify(sender.scope, report("T", ""), "{1}", 0);
  EXPECT_EQ(identify(sender.scope, report("T", ""), "{1}", 3).identity, first.identity);
  EXPECT_NE(identify(sender.scope, report("T", ""), "{2}", 0).identity, first.identity);
  Decoded later = report("T", "");
  later.instant_ns = 6;
  EXPECT_NE(identify(sender.scope, later, "{1}", 0).identity, first.identity);
}

TEST(Identity, of_a_submission_is_the_same_for_a_retry_and_a_uuid) {
  SipKey key{1, 2};
  Uuid id = submission_id(key, {3, 4}, 2);
  EXPECT_EQ(id, submission_id(key, {3, 4}, 2));
  EXPECT_NE(id, submission_id(key, {3, 4}, 3));
  EXPECT_EQ(id.text()[14], '8');
}

}  // namespace
}  // namespace trialwire::ingest
