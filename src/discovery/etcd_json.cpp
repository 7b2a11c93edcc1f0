// SPDX-License-Identifier: Apache-2.0
#include "discovery/etcd_json.hpp"

#include <openssl/evp.h>

#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

namespace trialwire::discovery {
namespace {

namespace json = boost::json;

std::unexpected<Error> wrong() {
  return fail(ErrorCode::unavailable, "etcd answers what is not understood");
}

std::optional<json::object> object_of(std::string_view text) {
  boost::system::error_code ec;
  json::value value = json::parse(text, ec);
  if (ec || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

const json::object* object_at(const json::object& from, std::string_view name) {
  const json::value* found = from.if_contains(name);
  return found != nullptr ? found->if_object() : nullptr;
}

const json::array* array_at(const json::object& from, std::string_view name) {
  const json::value* found = from.if_contains(name);
  return found != nullptr ? found->if_array() : nullptr;
}

std::string_view text_at(const json::object& from, std::string_view name) {
  const json::value* found = from.if_contains(name);
  if (found == nullptr || !found->is_string()) return {};
  const json::string& text = found->get_string();
  return {text.data(), text.size()};
}

/// A number, or one as text; what is left out is 0. Nothing: it is neither.
std::optional<std::int64_t> number_at(const json::object& from, std::string_view name) {
  const json::value* found = from.if_contains(name);
  if (found == nullptr) return 0;
  if (const auto* number = found->if_int64()) return *number;
  const std::string_view text = text_at(from, name);
  std::int64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<KeyValue> item_of(const json::object& kv) {
  auto key = base64_decoded(text_at(kv, "key"));
  auto value = base64_decoded(text_at(kv, "value"));
  const auto lease = number_at(kv, "lease");
  if (!key || key->empty() || !value || !lease) return std::nullopt;
  return KeyValue{std::move(*key), std::move(*value), *lease};
}

bool add_items(const json::object& range, KeyRange& to) {
  const json::object* header = object_at(range, "header");
  if (header != nullptr) {
    const auto revision = number_at(*header, "revision");
    if (!revision) return false;
    if (*revision != 0) to.revision = *revision;
  }
  const json::array* kvs = array_at(range, "kvs");
  if (kvs == nullptr) return true;  // none is left out
  for (const json::value& kv : *kvs) {
    if (!kv.is_object()) return false;
    auto item = item_of(kv.get_object());
    if (!item) return false;
    to.items.push_back(std::move(*item));
  }
  return true;
}

}  // namespace

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // it ends its text with a zero
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::optional<std::string> base64_decoded(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  // Padding comes out as zeros.
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  bytes.resize(static_cast<std::size_t>(size) - padding);
  return bytes;
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

std::string grant_body(std::chrono::seconds ttl) {
  return fmt::format(R"({{"TTL":{}}})", ttl.count());
}

std::string lease_body(std::int64_t lease) {
  return fmt::format(R"({{"ID":"{}"}})", lease);
}

std::string put_body(std::span<const KeyValue> items) {
  std::string puts;
  for (const KeyValue& item : items) {
    fmt::format_to(std::back_inserter(puts),
                   R"({}{{"request_put":{{"key":"{}","value":"{}","lease":"{}"}}}})",
                   puts.empty() ? "" : ",", base64(item.key), base64(item.value), item.lease);
  }
  return fmt::format(R"({{"success":[{}]}})", puts);
}

std::string get_body(std::span<const std::string> keys) {
  std::string gets;
  for (const std::string& key : keys) {
    fmt::format_to(std::back_inserter(gets), R"({}{{"request_range":{{"key":"{}"}}}})",
                   gets.empty() ? "" : ",", base64(key));
  }
  return fmt::format(R"({{"success":[{}]}})", gets);
}

std::string prefix_body(std::string_view prefix) {
  return fmt::format(R"({{"key":"{}","range_end":"{}"}})", base64(prefix),
                     base64(prefix_end(prefix)));
}

std::string watch_body(std::string_view prefix, std::int64_t revision) {
  return fmt::format(
      R"({{"create_request":{{"key":"{}","range_end":"{}","start_revision":"{}"}}}})",
      base64(prefix), base64(prefix_end(prefix)), revision);
}

std::string login_body(std::string_view name, std::string_view password) {
  return json::serialize(json::object{{"name", name}, {"password", password}});
}

Result<std::int64_t> read_grant(std::string_view text) {
  const auto answer = object_of(text);
  const auto id = answer ? number_at(*answer, "ID") : std::nullopt;
  if (!id || *id == 0) return wrong();
  return *id;
}

Result<std::chrono::seconds> read_keep_alive(std::string_view text) {
  // A stream: the first line is the answer.
  const auto answer = object_of(text.substr(0, text.find('\n')));
  const json::object* result = answer ? object_at(*answer, "result") : nullptr;
  const auto ttl = result != nullptr ? number_at(*result, "TTL") : std::nullopt;
  if (!ttl) return wrong();
  return std::chrono::seconds(*ttl);
}

Result<KeyRange> read_range(std::string_view text) {
  const auto answer = object_of(text);
  KeyRange range;
  if (!answer || !add_items(*answer, range) || range.revision == 0) return wrong();
  return range;
}

Result<KeyRange> read_ranges(std::string_view text) {
  const auto answer = object_of(text);
  const json::array* responses = answer ? array_at(*answer, "responses") : nullptr;
  KeyRange range;
  if (responses == nullptr || !add_items(*answer, range)) return wrong();
  for (const json::value& each : *responses) {
    const json::object* one = each.if_object();
    const json::object* of = one != nullptr ? object_at(*one, "response_range") : nullptr;
    if (of == nullptr || !add_items(*of, range)) return wrong();
  }
  return range;
}

Result<std::string> read_login(std::string_view text) {
  const auto answer = object_of(text);
  const std::string_view token = answer ? text_at(*answer, "token") : std::string_view();
  if (token.empty()) return wrong();
  return std::string(token);
}

Error read_refusal(unsigned status, std::string_view text) {
  constexpr std::size_t reason_bytes_max = 200;
  constexpr std::int64_t grpc_not_found = 5, grpc_forbidden = 7, grpc_unauthenticated = 16;
  const auto answer = object_of(text);
  const auto code = answer ? number_at(*answer, "code") : std::nullopt;
  ErrorCode meant = status == 404   ? ErrorCode::not_found
                    : status == 401 ? ErrorCode::unauthenticated
                                    : ErrorCode::unavailable;
  if (code == grpc_not_found) meant = ErrorCode::not_found;
  if (code == grpc_forbidden) meant = ErrorCode::forbidden;
  if (code == grpc_unauthenticated) meant = ErrorCode::unauthenticated;
  const std::string_view reason = answer ? text_at(*answer, "error") : std::string_view();
  return {meant, fmt::format("etcd answers {}: {}", status, reason.substr(0, reason_bytes_max))};
}

Result<WatchLine> read_watch_line(std::string_view text) {
  const auto answer = object_of(text);
  const json::object* result = answer ? object_at(*answer, "result") : nullptr;
  if (result == nullptr) return wrong();
  WatchLine line;
  const json::value* cancelled = result->if_contains("canceled");
  const auto compacted = number_at(*result, "compact_revision");
  line.ended = (cancelled != nullptr && cancelled->is_bool() && cancelled->get_bool()) ||
               (compacted && *compacted != 0);
  const json::array* events = array_at(*result, "events");
  if (events == nullptr) return line;
  for (const json::value& each : *events) {
    const json::object* event = each.if_object();
    const json::object* kv = event != nullptr ? object_at(*event, "kv") : nullptr;
    auto item = kv != nullptr ? item_of(*kv) : std::nullopt;
    if (!item) return wrong();
    line.events.push_back({text_at(*event, "type") == "DELETE", std::move(*item)});
  }
  return line;
}

}  // namespace trialwire::discovery
