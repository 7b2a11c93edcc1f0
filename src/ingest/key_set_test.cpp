// SPDX-License-Identifier: Apache-2.0
#include "ingest/key_set.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <string>

namespace trialwire::ingest {
namespace {

RC_GTEST_PROP(KeySet, agrees_with_a_set_over_several_objects, ()) {
  KeySet keys(SipKey{3, 4});
  auto objects = *rc::gen::container<std::vector<std::vector<std::string>>>(
      rc::gen::container<std::vector<std::string>>(
          rc::gen::map(rc::gen::inRange(0, 400), [](int i) { return std::to_string(i); })));
  for (const auto& names : objects) {
    keys.clear();
    std::set<std::string> expected;
    for (const std::string& name : names) {
      RC_ASSERT(keys.insert(name) == expected.insert(name).second);
    }
    RC_ASSERT(keys.size() == expected.size());
  }
}

TEST(KeySet, holds_many_names) {
  KeySet keys(SipKey{3, 4});
  std::vector<std::string> names;
  for (int i = 0; i < 10'000; ++i) names.push_back("name" + std::to_string(i));
  for (const std::string& name : names) ASSERT_TRUE(keys.insert(name));
  for (const std::string& name : names) ASSERT_FALSE(keys.insert(name));
}

}  // namespace
}  // namespace trialwire::ingest
