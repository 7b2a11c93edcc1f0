// SPDX-License-Identifier: Apache-2.0
#include "outbound/transfer.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"

namespace trialwire::outbound {
namespace {

constexpr std::size_t head_bytes_max = 64 << 10;

template <typename Value>
void set(CURL* handle, CURLoption option, Value value) {
  TW_CHECK(curl_easy_setopt(handle, option, value) == CURLE_OK);
}

void add(curl_slist*& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list, line.c_str());
  TW_CHECK(longer != nullptr);
  list = longer;
}

std::string_view without_spaces(std::string_view text) noexcept {
  auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

bool is_named(std::string_view line, std::string_view lower_name) noexcept {
  return line.size() > lower_name.size() && line[lower_name.size()] == ':' &&
         std::ranges::equal(line.substr(0, lower_name.size()), lower_name, [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b;
         });
}

}  // namespace

Transfer::Transfer(const TransferOptions& options, const Endpoint& endpoint,
                   const HttpRequest& request, std::function<void()> answer_begins, Ended ended)
    : request_(request),
      answer_bytes_max_(options.answer_bytes_max),
      connect_ends_first_(options.connect_timeout < options.timeout),
      answer_begins_(std::move(answer_begins)),
      ended_(std::move(ended)),
      handle_(curl_easy_init()) {
  TW_CHECK(handle_ != nullptr);
  set(handle_, CURLOPT_PRIVATE, this);
  set_request(endpoint, options.tls);
  set_limits(options);
  set_tls(options);
  set(handle_, CURLOPT_WRITEFUNCTION, &Transfer::on_data);
  set(handle_, CURLOPT_WRITEDATA, this);
  set(handle_, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(handle_, CURLOPT_HEADERDATA, this);
}

Transfer::~Transfer() {
  curl_easy_cleanup(handle_);
  curl_slist_free_all(headers_);
  curl_slist_free_all(connect_to_);
}

void Transfer::set_request(const Endpoint& endpoint, bool tls) {
  const std::string url = (tls ? "https://" : "http://") + endpoint.authority + request_.target;
  set(handle_, CURLOPT_URL, url.c_str());
  set(handle_, CURLOPT_PATH_AS_IS, 1L);
  if (!endpoint.address.empty()) {
    add(connect_to_, "::" + endpoint.address);
    set(handle_, CURLOPT_CONNECT_TO, connect_to_);
  }
  if (request_.method != HttpMethod::get) {
    set(handle_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(handle_, CURLOPT_POSTFIELDS, request_.body.data());
    if (request_.method == HttpMethod::put) set(handle_, CURLOPT_CUSTOMREQUEST, "PUT");
    if (request_.method == HttpMethod::delete_) set(handle_, CURLOPT_CUSTOMREQUEST, "DELETE");
  }
  set(handle_, CURLOPT_USERAGENT, "trialwire");
  add(headers_, "Expect:");  // no waiting for leave to send a body
  if (request_.method != HttpMethod::get) add(headers_, "Content-Type:");  // none of curl's own
  for (const auto& [name, value] : request_.headers)
    add(headers_, fmt::format("{}: {}", name, value));
  if (!request_.traceparent.empty()) add(headers_, "traceparent: " + request_.traceparent);
  set(handle_, CURLOPT_HTTPHEADER, headers_);
}

void Transfer::set_limits(const TransferOptions& options) {
  set(handle_, CURLOPT_PROTOCOLS_STR, "http,https");
  set(handle_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(handle_, CURLOPT_FOLLOWLOCATION, 0L);
  set(handle_, CURLOPT_NOSIGNAL, 1L);
  // A look-up that hangs is left behind: one thread must not hold up all calls.
  set(handle_, CURLOPT_QUICK_EXIT, 1L);
  set(handle_, CURLOPT_PROXY, options.proxy.c_str());
  set(handle_, CURLOPT_NOPROXY, "");
  set(handle_, CURLOPT_TCP_KEEPALIVE, 1L);
  set(handle_, CURLOPT_TCP_KEEPIDLE, 15L);
  set(handle_, CURLOPT_TCP_KEEPINTVL, 5L);
  const auto at_least_one = [](std::chrono::milliseconds time) {
    return static_cast<long>(std::max<std::int64_t>(time.count(), 1));  // 0 would be none
  };
  set(handle_, CURLOPT_TIMEOUT_MS, at_least_one(options.timeout));
  set(handle_, CURLOPT_CONNECTTIMEOUT_MS,
      at_least_one(std::min(options.connect_timeout, options.timeout)));
  if (!request_.on_body) {
    set(handle_, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(answer_bytes_max_));
  }
}

void Transfer::set_tls(const TransferOptions& options) {
  set(handle_, CURLOPT_SSL_VERIFYPEER, 1L);
  set(handle_, CURLOPT_SSL_VERIFYHOST, 2L);
  set(handle_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  const ClientTls& files = options.files;
  if (!files.ca.empty()) {
    set(handle_, CURLOPT_CAINFO, files.ca.c_str());
    set(handle_, CURLOPT_CAPATH, static_cast<char*>(nullptr));
  }
  if (!files.cert.empty()) {
    set(handle_, CURLOPT_SSLCERT, files.cert.c_str());
    set(handle_, CURLOPT_SSLKEY, files.key.c_str());
  }
}

unsigned Transfer::status() const noexcept {
  long code = 0;
  curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &code);
  return static_cast<unsigned>(code);
}

bool Transfer::take(std::string_view piece) {
  constexpr unsigned ok = 200;
  if (request_.on_body && status() == ok) {
    if (!std::exchange(began_, true) && answer_begins_) answer_begins_();
    reader_ended_ = !request_.on_body(piece);
    return !reader_ended_;
  }
  too_large_ = piece.size() > answer_bytes_max_ - response_.body.size();
  if (!too_large_) response_.body += piece;
  return !too_large_;
}

bool Transfer::take_header(std::string_view line) {
  head_bytes_ += line.size();
  too_large_ = head_bytes_ > head_bytes_max;
  if (line.starts_with("HTTP/")) {  // what came before was a 1xx
    response_.content_type.clear();
    response_.retry_after.clear();
  } else if (constexpr std::string_view type = "content-type"; is_named(line, type)) {
    response_.content_type = without_spaces(line.substr(type.size() + 1));
  } else if (constexpr std::string_view after = "retry-after"; is_named(line, after)) {
    response_.retry_after = without_spaces(line.substr(after.size() + 1));
  }
  return !too_large_;
}

// Another number than `size` ends the transfer; so does what a reader throws, which must not pass
// through libcurl.
std::size_t Transfer::on_data(char* data, std::size_t, std::size_t size, void* self) noexcept {
  try {
    return static_cast<Transfer*>(self)->take({data, size}) ? size : size + 1;
  } catch (...) {
    return size + 1;
  }
}

std::size_t Transfer::on_header(char* data, std::size_t, std::size_t size, void* self) noexcept {
  try {
    return static_cast<Transfer*>(self)->take_header({data, size}) ? size : size + 1;
  } catch (...) {
    return size + 1;
  }
}

TransferEnd Transfer::end_of(CURLcode code) const noexcept {
  if (too_large_) return TransferEnd::too_large;
  if (reader_ended_) return TransferEnd::reader_ended;
  switch (code) {
    case CURLE_OK:
      return TransferEnd::answered;
    case CURLE_OPERATION_TIMEDOUT: {
      curl_off_t sent_us = 0;
      curl_easy_getinfo(handle_, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
      const bool connecting = sent_us == 0 && connect_ends_first_;
      return connecting ? TransferEnd::unreachable : TransferEnd::timed_out;
    }
    case CURLE_FILESIZE_EXCEEDED:
      return TransferEnd::too_large;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
      return TransferEnd::unreachable;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
      return TransferEnd::not_trusted;
    default:
      return TransferEnd::cut_off;
  }
}

void Transfer::finish(CURLcode code) {
  response_.status = status();
  ended_({end_of(code), std::move(response_), curl_easy_strerror(code)});
}

void Transfer::cancel() {
  ended_({TransferEnd::cancelled, {}, "it was cancelled"});
}

}  // namespace trialwire::outbound
