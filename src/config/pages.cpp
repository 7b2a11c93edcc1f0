// SPDX-License-Identifier: Apache-2.0
#include "config/pages.hpp"

#include <fmt/format.h>

#include "config/schema.hpp"

namespace trialwire::config {
namespace {

std::string escape_cell(std::string_view text) {
  std::string cell;
  for (char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

std::string range_cell(const Constraint& constraint) {
  auto bound = [&](std::uint64_t value) {
    switch (constraint.kind) {
      case Kind::duration:
        return format_value(constraint.kind, std::chrono::nanoseconds(value));
      case Kind::percent:
        return format_value(constraint.kind, static_cast<double>(value));
      default:
        return format_value(constraint.kind, value);
    }
  };
  switch (constraint.kind) {
    case Kind::integer:
    case Kind::bytes:
    case Kind::duration:
    case Kind::percent:
      return bound(constraint.minimum) + " … " + bound(constraint.maximum);
    case Kind::boolean:
      return "true, false";
    case Kind::choice:
      return fmt::format("{}", fmt::join(constraint.choices, ", "));
    case Kind::choice_list:
      return fmt::format("list of {}", fmt::join(constraint.choices, ", "));
    case Kind::text_list:
      return "list";
    case Kind::listen:
      return "address:port";
    case Kind::url:
      return "URL";
    case Kind::text:
      return "text";
    case Kind::routes:
      return "map of path: limits";
  }
  return {};
}

}  // namespace

std::string print_yaml(const Settings& settings) {
  std::string text;
  std::string_view section;
  for (const Descriptor& descriptor : descriptors()) {
    std::string_view of = section_of(descriptor.path);
    if (of != section) {
      section = of;
      fmt::format_to(std::back_inserter(text), "{}:\n", section);
    }
    std::string_view name = descriptor.path.substr(of.empty() ? 0 : of.size() + 1);
    fmt::format_to(std::back_inserter(text), "{}{}: {}\n", of.empty() ? "" : "  ", name,
                   shown_value(descriptor, settings));
  }
  return text;
}

std::string reference_markdown() {
  std::string text =
      "# Settings\n\n"
      "Written by `trialwire config reference`; a test compares.\n\n"
      "`trialwire serve` needs no file. `--config FILE` reads YAML, `--set section.key=value` "
      "goes\n"
      "over it, any number of times, the last one wins. An unknown key, a wrong type or a value "
      "out\n"
      "of range is an error that names line, path and what was expected. The environment is not\n"
      "read. `trialwire config check` validates without starting, `trialwire config print` shows\n"
      "the effective values, secrets masked.\n\n"
      "Sizes: B, KiB, MiB, GiB, TiB, or KB, MB, GB, TB (powers of 1000). Durations: ns, us, ms, "
      "s,\n"
      "min, h, d, y (365 d). Both take decimals: `5.5s`.\n";
  Settings defaults;
  std::string_view section = "-";
  for (const Descriptor& descriptor : descriptors()) {
    std::string_view of = section_of(descriptor.path);
    if (of != section) {
      section = of;
      fmt::format_to(std::back_inserter(text),
                     "\n## {}\n\n{}\n\n| setting | default | range | what |\n"
                     "| --- | --- | --- | --- |\n",
                     section.empty() ? "General" : section, section_help(section));
    }
    fmt::format_to(std::back_inserter(text), "| `{}` | `{}` | {} | {}{} |\n", descriptor.path,
                   shown_value(descriptor, defaults), range_cell(descriptor.constraint),
                   escape_cell(descriptor.help), descriptor.secret ? " Masked when shown." : "");
  }
  return text;
}

}  // namespace trialwire::config
