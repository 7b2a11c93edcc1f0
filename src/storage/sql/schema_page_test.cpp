// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/schema_page.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include <fmt/format.h>

#include "base/hash.hpp"
#include "storage/sql/migrations.hpp"

namespace trialwire::storage {
namespace {

TEST(SchemaPage, is_the_one_in_docs) {
  const char* source = std::getenv("TRIALWIRE_SOURCE");
  if (source == nullptr) GTEST_SKIP() << "TRIALWIRE_SOURCE says where docs/ is; ctest sets it";
  std::ifstream file(std::string(source) + "/docs/schema.md");
  std::string page(std::istreambuf_iterator<char>(file), {});
  EXPECT_TRUE(page == schema_markdown())
      << "write it anew: trialwire db reference > docs/schema.md";
}

/// A hash of everything that a step says.
std::string fingerprint(const MigrationStep& step) {
  std::string all;
  for (const std::string& statement : step.statements) all += statement + ";\n";
  std::uint64_t hash = siphash({1, 2}, as_bytes(all)).low;
  return fmt::format("{:016x}", hash);
}

TEST(Migrations, released_steps_never_change) {
  auto sqlite = migrations(Dialect::sqlite);
  ASSERT_GE(sqlite.size(), 3U);
  EXPECT_EQ(fingerprint(sqlite[0]), "b8d85860163757bb");
  EXPECT_EQ(fingerprint(sqlite[1]), "8a2f45b73135fc6c");
  EXPECT_EQ(fingerprint(sqlite[2]), "1755024e2684d6ff");
}

}  // namespace
}  // namespace trialwire::storage
