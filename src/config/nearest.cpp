// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "config/loader.hpp"
#include "config/schema.hpp"

namespace trialwire::config {
namespace {

/// Edits that make one text of the other; neighbours swapped count as one.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

std::string_view last_part(std::string_view path) {
  return path.substr(path.rfind('.') + 1);
}

}  // namespace

std::string_view nearest_path(std::string_view path) {
  path = path.substr(0, 128);  // what is longer is near to nothing
  std::string_view best;
  std::size_t best_distance = SIZE_MAX;
  auto consider = [&](std::string_view candidate) {
    std::size_t distance = edit_distance(path, candidate);
    // The right name in the wrong section is nearly right.
    if (last_part(path) == last_part(candidate)) distance = std::min(distance, std::size_t{1});
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  };
  for (const Descriptor& descriptor : descriptors()) {
    consider(descriptor.path);
    if (auto section = section_of(descriptor.path); !section.empty()) consider(section);
  }
  return best;
}

}  // namespace trialwire::config
