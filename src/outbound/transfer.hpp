// SPDX-License-Identifier: Apache-2.0
// One exchange with one server by libcurl: made and ended on the loop's thread (http_loop.hpp).
// Redirects are not followed, nothing but http and https is spoken, certificates are verified,
// TLS is 1.2 or 1.3, and neither the environment nor a file of the user's is looked at.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <curl/curl.h>

#include "outbound/endpoints.hpp"
#include "outbound/http_message.hpp"

namespace trialwire::outbound {

/// PEM files; empty: the system's authorities, and no certificate of ours.
struct ClientTls {
  std::string ca;
  std::string cert;
  std::string key;
};

struct TransferOptions {
  bool tls = false;
  ClientTls files;
  std::string proxy;  // empty: none, whatever the environment says
  std::chrono::milliseconds timeout{5'000};
  std::chrono::milliseconds connect_timeout{2'000};
  std::size_t answer_bytes_max = 1 << 20;
};

enum class TransferEnd : std::uint8_t {
  answered,      // whole; whatever its status
  unreachable,   // nothing was sent
  not_trusted,   // its certificate, or ours; nothing was sent
  cut_off,       // closed, or what is no HTTP came
  timed_out,     // of all of it
  too_large,     // head or body
  reader_ended,  // on_body said so
  cancelled,
};

struct TransferResult {
  TransferEnd end = TransferEnd::cut_off;
  HttpResponse response;
  std::string reason;  // of libcurl: a fixed text, nothing of URL or answer
};

class Transfer {
 public:
  using Ended = std::move_only_function<void(TransferResult)>;

  /// `request` outlives it. `answer_begins` is called once before the first byte for on_body.
  Transfer(const TransferOptions& options, const Endpoint& endpoint, const HttpRequest& request,
           std::function<void()> answer_begins, Ended ended);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  CURL* handle() const noexcept { return handle_; }
  bool is_cancelled() const noexcept { return request_.stop.stop_requested(); }
  /// Exactly one of these, last.
  void finish(CURLcode code);
  void cancel();

 private:
  static std::size_t on_data(char* data, std::size_t one, std::size_t size, void* self) noexcept;
  static std::size_t on_header(char* data, std::size_t one, std::size_t size, void* self) noexcept;
  void set_request(const Endpoint& endpoint, bool tls);
  void set_limits(const TransferOptions& options);
  void set_tls(const TransferOptions& options);
  bool take(std::string_view piece);
  bool take_header(std::string_view line);
  unsigned status() const noexcept;
  TransferEnd end_of(CURLcode code) const noexcept;

  const HttpRequest& request_;
  const std::size_t answer_bytes_max_;
  const bool connect_ends_first_;  // a connection has less time than the whole
  std::function<void()> answer_begins_;
  Ended ended_;
  CURL* handle_;
  curl_slist* headers_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  std::size_t head_bytes_ = 0;
  bool began_ = false;  // to hand pieces to on_body
  bool too_large_ = false;
  bool reader_ended_ = false;
  HttpResponse response_;
};

}  // namespace trialwire::outbound
