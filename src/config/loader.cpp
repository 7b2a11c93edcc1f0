// SPDX-License-Identifier: Apache-2.0
#include "config/loader.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <system_error>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "config/schema.hpp"

namespace trialwire::config {
namespace {

constexpr std::size_t file_bytes_max = 1 << 20;

const Descriptor* find(std::string_view path) {
  for (const Descriptor& descriptor : descriptors()) {
    if (descriptor.path == path) return &descriptor;
  }
  return nullptr;
}

/// "pipeline.sinks", "pipeline.sinks.postgres".
bool is_inner_section(std::string_view path) {
  for (const Descriptor& descriptor : descriptors()) {
    if (descriptor.path.size() > path.size() && descriptor.path.starts_with(path) &&
        descriptor.path[path.size()] == '.') {
      return true;
    }
  }
  return false;
}

bool is_section(std::string_view path) {
  for (const Descriptor& descriptor : descriptors()) {
    if (section_of(descriptor.path) == path) return true;
  }
  return false;
}

std::string_view first_in(std::string_view section) {
  for (const Descriptor& descriptor : descriptors()) {
    if (section_of(descriptor.path) == section) return descriptor.path;
  }
  return {};
}

bool is_list(Kind kind) noexcept {
  return kind == Kind::choice_list || kind == Kind::text_list;
}

/// A key as it may be shown: what is no word may be a value, even a secret, in the wrong place.
std::string shown_key(std::string_view key) {
  if (key.empty()) return "(empty key)";
  bool word = key.size() <= 64 && std::ranges::all_of(key, [](char c) {
                return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '.' || c == '-';
              });
  return word ? std::string(key) : "(unprintable key)";
}

std::vector<std::string> split_list(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  std::vector<std::string> items;
  while (true) {
    std::size_t end = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, end);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    if (end == text.size()) return items;
    text.remove_prefix(end + 1);
  }
}

class Reader {
 public:
  explicit Reader(std::string_view name) : name_(name) {}

  void read_yaml(std::string_view text) {
    try {
      auto documents = YAML::LoadAll(std::string(text));
      if (documents.size() > 1) return add("", "", "must be one YAML document");
      if (documents.empty() || documents[0].IsNull()) return;
      read_top(documents[0]);
    } catch (const YAML::Exception& exception) {
      add(at(exception.mark), "", "is no YAML: " + exception.msg);
    }
  }

  void assign(std::string_view assignment) {
    std::size_t equals = assignment.find('=');
    if (equals == std::string_view::npos) {
      return add("--set", shown_key(assignment), "wants key=value");
    }
    if (equals == 0) return add("--set", "", "wants key=value: there is no key");
    std::string_view path = assignment.substr(0, equals);
    const Descriptor* descriptor = find(path);
    if (descriptor == nullptr) return add_unknown("--set", path);
    std::string_view text = assignment.substr(equals + 1);
    const Constraint& constraint = descriptor->constraint;
    store("--set", *descriptor,
          is_list(constraint.kind) ? parse_list(constraint, split_list(text))
                                   : parse_value(constraint, text));
  }

  void add(std::string where, std::string_view path, std::string reason) {
    problems.push_back({std::move(where), std::string(path), std::move(reason)});
  }

  std::string name() const { return name_; }

  Settings settings;
  std::vector<Problem> problems;

 private:
  std::string at(const YAML::Mark& mark) const {
    return mark.is_null() ? name_ : fmt::format("{}:{}", name_, mark.line + 1);
  }

  void add_unknown(std::string where, std::string_view path) {
    if (!path.empty() && is_section(path)) {
      return add(std::move(where), path,
                 fmt::format("is a section: set one of its settings, such as {}", first_in(path)));
    }
    add(std::move(where), shown_key(path),
        fmt::format("is no setting; the nearest is {}", nearest_path(path)));
  }

  void store(std::string where, const Descriptor& descriptor,
             std::expected<Value, std::string> value) {
    if (value) {
      descriptor.set(settings, *value);
    } else {
      add(std::move(where), descriptor.path, std::move(value.error()));
    }
  }

  void read_top(const YAML::Node& top) {
    if (!top.IsMap()) return add(at(top.Mark()), "", "must be a mapping of settings");
    read_entries(top, "");
  }

  void read_entries(const YAML::Node& map, const std::string& prefix) {
    std::set<std::string> seen;
    for (const auto& entry : map) {
      std::string where = at(entry.first.Mark());
      std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
      std::string path = prefix + key;
      if (!seen.insert(key).second) {
        add(where, shown_key(path), "is set twice");
      } else if (const Descriptor* descriptor = find(path)) {
        read_setting(*descriptor, entry.second, where);
      } else if (prefix.empty() ? is_section(key) : is_inner_section(path)) {
        read_section(path, entry.second, where);
      } else {
        add_unknown(where, path);
      }
    }
  }

  void read_section(const std::string& section, const YAML::Node& node, const std::string& where) {
    if (node.IsNull()) return;
    if (!node.IsMap()) return add(where, section, "must be a mapping of settings");
    read_entries(node, section + '.');
  }

  void read_setting(const Descriptor& descriptor, const YAML::Node& node,
                    const std::string& where) {
    const Constraint& constraint = descriptor.constraint;
    if (!is_list(constraint.kind)) {
      if (node.IsScalar()) {
        return store(where, descriptor, parse_value(constraint, node.Scalar()));
      }
      if (constraint.kind == Kind::routes) {
        YAML::Emitter text;
        text << YAML::Flow << node;
        return store(where, descriptor, parse_value(constraint, text.c_str()));
      }
      return add(where, descriptor.path, "must be " + expected_form(constraint));
    }
    std::vector<std::string> items;
    if (node.IsSequence()) {
      for (const auto& item : node) items.push_back(item.IsScalar() ? item.Scalar() : "");
    }
    store(where, descriptor, parse_list(constraint, items));
  }

  std::string name_;
};

Loaded finish(Reader& reader, const std::vector<std::string>& assignments) {
  for (const std::string& assignment : assignments) reader.assign(assignment);
  // Single settings first: what they mean together is said of values that were understood.
  if (reader.problems.empty()) reader.problems = check(reader.settings);
  if (!reader.problems.empty()) return std::unexpected(std::move(reader.problems));
  return std::move(reader.settings);
}

}  // namespace

std::string Problem::text() const {
  std::string line = where;
  for (std::string_view part : {std::string_view(path), std::string_view(reason)}) {
    if (part.empty()) continue;
    if (!line.empty()) line += ": ";
    line += part;
  }
  return line;
}

Loaded load_text(std::string_view yaml, std::string_view name,
                 const std::vector<std::string>& assignments) {
  Reader reader(name);
  reader.read_yaml(yaml);
  return finish(reader, assignments);
}

Loaded load(const Sources& sources) {
  if (!sources.file) return load_text("", "", sources.assignments);
  Reader reader(sources.file->string());
  std::error_code unknown;  // then opening it says why
  if (std::filesystem::is_directory(*sources.file, unknown)) {
    reader.add(reader.name(), "", "is a directory; --config wants a file");
    return std::unexpected(std::move(reader.problems));
  }
  errno = 0;
  std::ifstream file(*sources.file, std::ios::binary);
  if (!file) {
    reader.add(reader.name(), "", "cannot be read: " + std::generic_category().message(errno));
    return std::unexpected(std::move(reader.problems));
  }
  std::string text(file_bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > file_bytes_max) {
    reader.add(reader.name(), "", "is larger than 1MiB");
    return std::unexpected(std::move(reader.problems));
  }
  reader.read_yaml(text);
  return finish(reader, sources.assignments);
}

}  // namespace trialwire::config
