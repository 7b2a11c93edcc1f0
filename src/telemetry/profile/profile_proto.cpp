// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "telemetry/profile/profile_forms.hpp"

namespace trialwire::telemetry {
namespace {

/// A message of Protocol Buffers: fields one behind the other.
class Message {
 public:
  void number(unsigned field, std::uint64_t value) {
    if (value == 0) return;
    varint(field << 3);
    varint(value);
  }
  void text(unsigned field, std::string_view value) {
    varint(field << 3 | 2);
    varint(value.size());
    bytes_ += value;
  }
  void message(unsigned field, const Message& value) { text(field, value.bytes_); }
  template <typename Numbers>
  void packed(unsigned field, const Numbers& values) {
    Message inner;
    for (const auto value : values) inner.varint(static_cast<std::uint64_t>(value));
    message(field, inner);
  }
  std::string take() { return std::move(bytes_); }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

class ProtoWriter {
 public:
  ProtoWriter(const Profile& profile, Symbols& symbols) : profile_(profile), symbols_(symbols) {
    string("");
  }
  std::string write();

 private:
  std::uint64_t string(std::string_view text) {
    auto [at, added] = strings_.try_emplace(std::string(text), strings_.size());
    if (added) string_table_.push_back(at->first);
    return at->second;
  }
  std::uint64_t function(std::string_view name);
  std::uint64_t location(std::uintptr_t address, std::string_view name);
  void value_type(unsigned field, std::string_view type, std::string_view unit);
  void sample(const ProfileSample& sample);
  void mappings();

  const Profile& profile_;
  Symbols& symbols_;
  Message out_;
  std::unordered_map<std::string, std::uint64_t> strings_;
  std::vector<std::string> string_table_;
  std::unordered_map<std::uint64_t, std::uint64_t> functions_;  // by name's index
  std::unordered_map<std::uintptr_t, std::uint64_t> locations_;
};

std::uint64_t ProtoWriter::function(std::string_view name) {
  const std::uint64_t index = string(name);
  auto [at, added] = functions_.try_emplace(index, functions_.size() + 1);
  if (added) {
    Message made;
    made.number(1, at->second);
    made.number(2, index);
    made.number(3, index);
    out_.message(5, made);
  }
  return at->second;
}

std::uint64_t ProtoWriter::location(std::uintptr_t address, std::string_view name) {
  auto [at, added] = locations_.try_emplace(address, locations_.size() + 1);
  if (added) {
    Message line;
    line.number(1, function(name));
    Message made;
    made.number(1, at->second);
    const auto mapping = symbols_.mapping_of(address);
    if (mapping) made.number(2, *mapping + 1);
    made.number(3, address);
    made.message(4, line);
    out_.message(4, made);
  }
  return at->second;
}

void ProtoWriter::value_type(unsigned field, std::string_view type, std::string_view unit) {
  Message made;
  made.number(1, string(type));
  made.number(2, string(unit));
  out_.message(field, made);
}

void ProtoWriter::sample(const ProfileSample& sample) {
  std::vector<std::uint64_t> ids;
  for (std::size_t i = 0; i < sample.frames.size(); ++i) {
    // A return address is behind the call, which may be the last of its function.
    const bool exact = i == 0 && profile_.kind == ProfileKind::cpu;
    const std::uintptr_t address = sample.frames[i] - (exact ? 0 : 1);
    // The outermost may be none, where a library's register was taken for a frame.
    if (i == 0 || symbols_.mapping_of(address))
      ids.push_back(location(address, symbols_.group(address)));
  }
  if (sample.frames.empty()) {
    // No address is its own: each thread has one below what may be mapped.
    const auto address = static_cast<std::uintptr_t>(string(sample.thread));
    ids.push_back(location(address, fmt::format("[{}: takes no signals]", sample.thread)));
  }
  Message made;
  made.packed(1, ids);
  if (profile_.kind == ProfileKind::cpu) {
    made.packed(2, std::array{sample.count, sample.amount});
  } else {
    const Estimate all = estimate(sample.count_total, sample.amount_total, profile_.period);
    const Estimate used = estimate(sample.count, sample.amount, profile_.period);
    made.packed(2, std::array{all.count, all.amount, used.count, used.amount});
  }
  if (!sample.thread.empty()) {
    Message label;
    label.number(1, string("thread"));
    label.number(2, string(sample.thread));
    made.message(3, label);
  }
  out_.message(2, made);
}

void ProtoWriter::mappings() {
  for (std::size_t i = 0; i < symbols_.mappings().size(); ++i) {
    const Mapping& mapping = symbols_.mappings()[i];
    Message made;
    made.number(1, i + 1);
    made.number(2, mapping.begin);
    made.number(3, mapping.end);
    made.number(4, mapping.offset);
    made.number(5, string(mapping.path));
    made.number(7, 1);  // its functions are known
    out_.message(3, made);
  }
}

std::string ProtoWriter::write() {
  const bool cpu = profile_.kind == ProfileKind::cpu;
  if (cpu) {
    value_type(1, "samples", "count");
    value_type(1, "cpu", "nanoseconds");
  } else {
    value_type(1, "alloc_objects", "count");
    value_type(1, "alloc_space", "bytes");
    value_type(1, "inuse_objects", "count");
    value_type(1, "inuse_space", "bytes");
  }
  mappings();
  for (const ProfileSample& one : profile_.samples) sample(one);
  out_.number(9, static_cast<std::uint64_t>(profile_.began_unix_ns));
  out_.number(10, static_cast<std::uint64_t>(profile_.duration_ns));
  value_type(11, cpu ? "cpu" : "space", cpu ? "nanoseconds" : "bytes");
  out_.number(12, static_cast<std::uint64_t>(profile_.period));
  if (profile_.lost != 0) out_.number(13, string(fmt::format("{} samples lost", profile_.lost)));
  out_.number(14, string(cpu ? "cpu" : "inuse_space"));
  for (const std::string& text : string_table_) out_.text(6, text);
  return out_.take();
}

}  // namespace

std::string profile_proto(const Profile& profile, Symbols& symbols) {
  return ProtoWriter(profile, symbols).write();
}

}  // namespace trialwire::telemetry
