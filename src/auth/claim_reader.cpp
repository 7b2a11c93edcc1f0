// SPDX-License-Identifier: Apache-2.0
#include "auth/claim_reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <boost/json/basic_parser_impl.hpp>

#include "base/hash.hpp"

namespace trialwire::auth {
namespace {

using boost::json::error_code;
using Text = boost::json::string_view;

void append_segment(std::string& path, std::string_view name) {
  path += '/';
  for (char c : name) {
    if (c == '~') {
      path += "~0";
    } else if (c == '/') {
      path += "~1";
    } else {
      path += c;
    }
  }
}

/// What the parser tells as it goes. Every value has a path, a JSON Pointer; the members' paths are
/// kept as hashes, so that one which comes again is found out. A stranger who aims at a collision
/// gets his own token refused.
class Collector {
 public:
  static constexpr std::size_t max_object_size = SIZE_MAX;
  static constexpr std::size_t max_array_size = SIZE_MAX;
  static constexpr std::size_t max_key_size = SIZE_MAX;
  static constexpr std::size_t max_string_size = SIZE_MAX;

  Collector(std::span<const std::string> pointers, std::size_t members_max,
            std::vector<Claim>& claims)
      : pointers_(pointers), members_max_(members_max), claims_(claims) {
    claims_.clear();
    claims_.resize(pointers.size());
    path_.reserve(64);
    frames_.reserve(8);
    seen_.reserve(16);
  }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }

  bool on_object_begin(error_code& ec) {
    if (frames_.empty()) {
      frames_.push_back({.array = false, .path_bytes = 0});
      return true;
    }
    if (Claim* claim = value()) claim->kind = Claim::Kind::other;
    return open(false, ec);
  }
  bool on_array_begin(error_code& ec) {
    if (frames_.empty()) return malformed(ec);  // not an object
    if (Claim* claim = leaf()) claim->kind = Claim::Kind::texts;
    return open(true, ec);
  }
  bool on_object_end(std::size_t, error_code&) { return close(); }
  bool on_array_end(std::size_t, error_code&) { return close(); }

  bool on_key_part(Text part, std::size_t, error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_key(Text part, std::size_t, error_code& ec) {
    text_.append(part.data(), part.size());
    path_.resize(frames_.back().path_bytes);
    append_segment(path_, text_);
    text_.clear();
    if (seen_.size() == members_max_) return malformed(ec);
    std::uint64_t hash = content_hash({}, as_bytes(path_));
    if (std::ranges::find(seen_, hash) != seen_.end()) return malformed(ec);
    seen_.push_back(hash);
    return true;
  }

  bool on_string_part(Text part, std::size_t, error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_string(Text part, std::size_t, error_code& ec) {
    text_.append(part.data(), part.size());
    if (Claim* claim = leaf()) {
      claim->kind = Claim::Kind::text;
      claim->text = std::move(text_);
    } else if (Claim* list = element()) {
      list->texts.push_back(std::move(text_));
    }
    text_.clear();
    return in_object(ec);
  }

  bool on_number_part(Text, error_code&) { return true; }
  bool on_int64(std::int64_t number, Text, error_code& ec) {
    return on_number(static_cast<double>(number), ec);
  }
  bool on_uint64(std::uint64_t number, Text, error_code& ec) {
    return on_number(static_cast<double>(number), ec);
  }
  bool on_double(double number, Text, error_code& ec) { return on_number(number, ec); }
  bool on_bool(bool, error_code& ec) { return on_other(ec); }
  bool on_null(error_code& ec) {
    if (Claim* claim = leaf()) claim->kind = Claim::Kind::null;
    if (Claim* list = element()) list->kind = Claim::Kind::other;
    return in_object(ec);
  }
  bool on_comment_part(Text, error_code&) { return true; }
  bool on_comment(Text, error_code&) { return true; }

 private:
  struct Frame {
    bool array = false;
    std::size_t path_bytes = 0;  // of the value that this is
    std::size_t elements = 0;    // opened so far, of an array
    Claim* claim = nullptr;      // whose elements these are
  };

  static bool malformed(error_code& ec) {
    ec = boost::json::error::syntax;
    return false;
  }
  bool in_object(error_code& ec) const { return !frames_.empty() || malformed(ec); }

  bool on_number(double number, error_code& ec) {
    if (Claim* claim = leaf()) {
      claim->kind = Claim::Kind::number;
      claim->number = number;
    } else if (Claim* list = element()) {
      list->kind = Claim::Kind::other;
    }
    return in_object(ec);
  }
  bool on_other(error_code& ec) {
    if (Claim* claim = leaf()) {
      claim->kind = Claim::Kind::other;
    } else if (Claim* list = element()) {
      list->kind = Claim::Kind::other;
    }
    return in_object(ec);
  }

  /// The claim that the member whose value comes is; null: it is none, or not a member.
  Claim* value() {
    if (frames_.empty() || frames_.back().array) return nullptr;
    for (std::size_t i = 0; i < pointers_.size(); ++i) {
      if (pointers_[i] == path_) return &claims_[i];
    }
    return nullptr;
  }
  /// Likewise, of a value that is no object. A claim that would have been within it is there, and
  /// not what it should be: it is not absent. (One within an object of an array is found later.)
  Claim* leaf() {
    if (frames_.empty() || frames_.back().array) return nullptr;
    for (std::size_t i = 0; i < pointers_.size(); ++i) {
      const std::string& pointer = pointers_[i];
      if (pointer.size() > path_.size() && pointer[path_.size()] == '/' &&
          pointer.starts_with(path_)) {
        claims_[i].kind = Claim::Kind::other;
      }
    }
    return value();
  }
  Claim* element() {
    if (frames_.empty() || !frames_.back().array) return nullptr;
    return frames_.back().claim;
  }

  bool open(bool array, error_code&) {
    Frame& outer = frames_.back();
    Claim* claim = nullptr;
    if (outer.array) {
      if (outer.claim != nullptr) outer.claim->kind = Claim::Kind::other;
      std::array<char, 20> digits{};
      char* end = std::to_chars(digits.data(), digits.data() + digits.size(), outer.elements).ptr;
      ++outer.elements;
      path_.resize(outer.path_bytes);
      append_segment(path_, {digits.data(), static_cast<std::size_t>(end - digits.data())});
    } else if (array) {
      claim = value();
    }
    frames_.push_back({.array = array, .path_bytes = path_.size(), .claim = claim});
    return true;
  }
  bool close() {
    frames_.pop_back();
    return true;
  }

  std::span<const std::string> pointers_;
  std::size_t members_max_;
  std::vector<Claim>& claims_;
  std::string path_;
  std::string text_;
  std::vector<Frame> frames_;
  std::vector<std::uint64_t> seen_;
};

}  // namespace

std::string claim_pointer(std::string_view name) {
  if (name.starts_with('/')) return std::string(name);
  std::string path;
  append_segment(path, name);
  return path;
}

bool read_claims(std::string_view json, std::span<const std::string> pointers,
                 const JsonBounds& bounds, std::vector<Claim>& claims) {
  boost::json::parse_options options;
  options.max_depth = static_cast<unsigned char>(std::min<std::size_t>(bounds.depth, 255));
  boost::json::basic_parser<Collector> parser(options, pointers, bounds.members, claims);
  error_code ec;
  std::size_t read = parser.write_some(false, json.data(), json.size(), ec);
  return !ec && read == json.size() && parser.done();
}

}  // namespace trialwire::auth
