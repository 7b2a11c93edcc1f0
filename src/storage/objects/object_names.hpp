// SPDX-License-Identifier: Apache-2.0
// What an object's name is, the same in every store: parts joined by '/', each of letters, digits,
// '.', '-' and '_', not beginning with '.', at most 255 characters; 1,024 in all. So no name leads
// out of a directory, and none means something else to a shell, a URL or a file system.
#pragma once
#include <string_view>

namespace trialwire::storage {

constexpr std::size_t object_name_bytes_max = 1'024;
constexpr std::size_t object_name_part_bytes_max = 255;

constexpr bool is_object_name_part(std::string_view part) noexcept {
  if (part.empty() || part.size() > object_name_part_bytes_max || part.front() == '.') return false;
  for (const char c : part) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    if (!letter && !digit && c != '.' && c != '-' && c != '_') return false;
  }
  return true;
}

constexpr bool is_object_name(std::string_view name) noexcept {
  if (name.size() > object_name_bytes_max) return false;
  while (true) {
    const std::size_t slash = name.find('/');
    if (!is_object_name_part(name.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

}  // namespace trialwire::storage
