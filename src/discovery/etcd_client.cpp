// SPDX-License-Identifier: Apache-2.0
#include "discovery/etcd_client.hpp"

#include <openssl/crypto.h>

#include <utility>

#include "base/private_file.hpp"
#include "discovery/etcd_json.hpp"

namespace trialwire::discovery {
namespace {

constexpr std::size_t password_bytes_max = 4 << 10;
constexpr std::size_t watch_line_bytes_max = 4 << 20;

outbound::HttpRequest request_of(std::string_view path, std::string body,
                                 std::chrono::milliseconds deadline) {
  return {.method = outbound::HttpMethod::post,
          .target = std::string(path),
          .headers = {{"Content-Type", "application/json"}},
          .body = std::move(body),
          .deadline = deadline};
}

/// A stream's pieces as lines, each an answer.
class WatchReader {
 public:
  explicit WatchReader(const EtcdClient::OnEvents& on_events) : on_events_(on_events) {}

  /// False: it is over.
  bool take(std::string_view piece) {
    buffer_ += piece;
    std::size_t from = 0;
    for (std::size_t end = 0; (end = buffer_.find('\n', from)) != std::string::npos;
         from = end + 1) {
      auto line = read_watch_line(std::string_view(buffer_).substr(from, end - from));
      if (!line) {
        error = line.error();
        return false;
      }
      if (!line->events.empty()) on_events_(line->events);
      if (line->ended) return false;
    }
    buffer_.erase(0, from);
    if (buffer_.size() <= watch_line_bytes_max) return true;
    error = {ErrorCode::payload_too_large, "etcd sends a line that is too long"};
    return false;
  }

  Error error{ErrorCode::internal, {}};  // empty text: none

 private:
  const EtcdClient::OnEvents& on_events_;
  std::string buffer_;
};

}  // namespace

EtcdClient::EtcdClient(EtcdOptions options, outbound::HttpTarget& target, std::stop_token stop)
    : options_(std::move(options)), target_(target), stop_(std::move(stop)) {}

Result<void> EtcdClient::authenticate() {
  auto password = read_guarded_file(options_.password_file, FileAccess::secret, password_bytes_max);
  if (!password) return std::unexpected(password.error());
  if (password->ends_with('\n')) password->pop_back();
  auto request = request_of("/v3/auth/authenticate", login_body(options_.username, *password),
                            options_.deadline);
  OPENSSL_cleanse(password->data(), password->size());
  request.stop = stop_;
  auto answer = target_.call(std::move(request));
  if (!answer) return std::unexpected(answer.error());
  if (answer->status != 200) return std::unexpected(read_refusal(answer->status, answer->body));
  auto token = read_login(answer->body);
  if (!token) return std::unexpected(token.error());
  token_ = std::move(*token);
  return {};
}

/// With a token of etcd's, where it has users; a token that has expired is asked for anew, once.
Result<outbound::HttpResponse> EtcdClient::send(outbound::HttpRequest request) {
  if (options_.username.empty()) return target_.call(std::move(request));
  const bool had_token = !token_.empty();
  if (!had_token) {
    if (auto in = authenticate(); !in) return std::unexpected(in.error());
  }
  auto again = request;
  request.headers.emplace_back("Authorization", token_);
  auto answer = target_.call(std::move(request));
  constexpr unsigned unauthenticated = 401;
  if (!answer || answer->status != unauthenticated) return answer;
  token_.clear();
  if (!had_token) return answer;
  if (auto in = authenticate(); !in) return std::unexpected(in.error());
  again.headers.emplace_back("Authorization", token_);
  return target_.call(std::move(again));
}

Result<std::string> EtcdClient::ask(std::string_view path, const std::string& body) {
  auto request = request_of(path, body, options_.deadline);
  request.stop = stop_;
  auto answer = send(std::move(request));
  if (!answer) return std::unexpected(answer.error());
  if (answer->status != 200) return std::unexpected(read_refusal(answer->status, answer->body));
  return std::move(answer->body);
}

Result<std::int64_t> EtcdClient::grant(std::chrono::seconds ttl) {
  auto answer = ask("/v3/lease/grant", grant_body(ttl));
  if (!answer) return std::unexpected(answer.error());
  return read_grant(*answer);
}

Result<std::chrono::seconds> EtcdClient::keep_alive(std::int64_t lease) {
  auto answer = ask("/v3/lease/keepalive", lease_body(lease));
  if (!answer) return std::unexpected(answer.error());
  auto ttl = read_keep_alive(*answer);
  if (ttl && ttl->count() <= 0) return fail(ErrorCode::not_found, "etcd has no such lease");
  return ttl;
}

Result<void> EtcdClient::revoke(std::int64_t lease, std::chrono::milliseconds deadline) {
  auto answer = send(request_of("/v3/lease/revoke", lease_body(lease), deadline));
  if (!answer) return std::unexpected(answer.error());
  if (answer->status != 200) return std::unexpected(read_refusal(answer->status, answer->body));
  return {};
}

Result<void> EtcdClient::put(std::span<const KeyValue> items) {
  auto answer = ask("/v3/kv/txn", put_body(items));
  if (!answer) return std::unexpected(answer.error());
  return {};
}

Result<KeyRange> EtcdClient::get(std::span<const std::string> keys) {
  auto answer = ask("/v3/kv/txn", get_body(keys));
  if (!answer) return std::unexpected(answer.error());
  return read_ranges(*answer);
}

Result<KeyRange> EtcdClient::get_prefix(std::string_view prefix) {
  auto answer = ask("/v3/kv/range", prefix_body(prefix));
  if (!answer) return std::unexpected(answer.error());
  return read_range(*answer);
}

Result<void> EtcdClient::watch(std::string_view prefix, std::int64_t revision,
                               std::chrono::milliseconds time, const OnEvents& on_events) {
  WatchReader reader(on_events);
  auto request = request_of("/v3/watch", watch_body(prefix, revision), time);
  request.stop = stop_;
  request.on_body = [&reader](std::string_view piece) { return reader.take(piece); };
  auto answer = send(std::move(request));
  if (!reader.error.text.empty()) return std::unexpected(reader.error);
  // Its time is over: so it was asked for.
  if (!answer && answer.error().code == ErrorCode::deadline_exceeded) return {};
  if (!answer) return std::unexpected(answer.error());
  if (answer->status != 200) return std::unexpected(read_refusal(answer->status, answer->body));
  return {};
}

}  // namespace trialwire::discovery
