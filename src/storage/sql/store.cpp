// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/store.hpp"

#include <array>

#include <fmt/format.h>

#include "storage/sql/mysql/store.hpp"
#include "storage/sql/postgres/store.hpp"
#include "storage/sql/sqlite/store.hpp"

namespace trialwire::storage {
namespace {

struct Scheme {
  std::string_view name;
  Result<std::unique_ptr<Store>> (*open)(const StoreOptions& options);
};

constexpr std::array<Scheme, 3> schemes{{
    {"sqlite", sqlite::open_store},
    {"mysql", mysql::open_store},
    {"postgres", postgres::open_store},
}};

}  // namespace

Result<std::unique_ptr<Store>> open_store(const StoreOptions& options) {
  std::string_view scheme = std::string_view(options.url).substr(0, options.url.find(':'));
  for (const Scheme& known : schemes) {
    if (scheme == known.name) return known.open(options);
  }
  return fail(ErrorCode::invalid_argument, "store.url: this program knows no such database");
}

}  // namespace trialwire::storage
