// SPDX-License-Identifier: Apache-2.0
// The URL of a server. One that is none is said to be so without repeating it; of one that is, the
// parts written anew with everything encoded are the same URL, and its password is not in what
// `config print` shows.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/url.hpp"
#include "config/value.hpp"

namespace {

using namespace trialwire;

std::string encoded(std::string_view text) {
  std::string to;
  for (char c : text) to += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return to;
}

std::string written(const Url& url) {
  std::string text = url.scheme + "://";
  if (url.user) text += encoded(*url.user);
  if (url.password) text += ":" + encoded(*url.password);
  if (url.user) text += '@';
  bool v6 = url.host.find(':') != std::string::npos || url.host.find('%') != std::string::npos;
  text += v6 ? "[" + url.host + "]" : encoded(url.host);
  if (url.port != 0) text += fmt::format(":{}", url.port);
  text += "/" + encoded(url.path) + "?";
  for (const auto& [name, value] : url.parameters) {
    text += encoded(name) + "=" + encoded(value) + "&";
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto url = parse_url(text);
  if (!url) {
    // What is long and holds a digit is no piece of our own words, which the fuzzer finds out.
    const bool telling = size >= 60 && text.find_first_of("0123456789") != std::string_view::npos;
    TW_CHECK(!url.error().empty());
    TW_CHECK(!telling || url.error().find(text) == std::string::npos);
    return 0;
  }
  // An IPv6 address goes as it is: its characters are not encoded.
  auto ends_it = [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f ||
           std::string_view("]/?@#").find(c) != std::string_view::npos;
  };
  if (std::ranges::any_of(url->host, ends_it)) return 0;
  std::string again_text = written(*url);
  auto again = parse_url(again_text);
  TW_CHECK(again && again->scheme == url->scheme && again->user == url->user);
  TW_CHECK(again->password == url->password && again->host == url->host);
  TW_CHECK(again->port == url->port && again->path == url->path);
  TW_CHECK(again->parameters == url->parameters);
  if (url->password && url->password->size() >= 8) {
    std::string shown = config::mask_url(again_text);
    TW_CHECK(shown.find(":" + encoded(*url->password) + "@") == std::string::npos);
  }
  return 0;
}
