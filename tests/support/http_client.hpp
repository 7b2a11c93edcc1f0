// SPDX-License-Identifier: Apache-2.0
// The client's side of a test of net::Server: a blocking socket that sends exactly these bytes and
// takes answers apart just enough to look at them. Every wait ends after ten seconds.
#pragma once
#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace trialwire::support {

struct HttpAnswer {
  int status = 0;
  std::string head;  // status line and headers, without the empty line
  std::string body;
  /// Value of a header, any case; empty when absent.
  std::string header(std::string_view name) const;
};

/// What `call` returns, once no signal has interrupted it.
template <typename Call>
auto uninterrupted(Call call) {
  for (;;) {
    errno = 0;
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

class HttpClient {
 public:
  /// "127.0.0.1:8080" or "[::1]:8080"; throws std::runtime_error when it cannot connect.
  explicit HttpClient(const std::string& address);
  virtual ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  void send(std::string_view bytes);
  /// No more will be sent; answers can still be read.
  void end_sending();
  /// Closes with a reset.
  void reset();
  int socket() const { return socket_; }

  /// The next answer; status 0 when the connection ends or times out first. 1xx count as answers.
  HttpAnswer read(bool head_only = false);
  std::vector<HttpAnswer> read_many(std::size_t count);
  /// Whatever arrives until the server closes; `closed` tells whether it did.
  std::string read_to_end();
  bool closed() const { return closed_; }
  /// One receive call's worth: what the server wrote with one write, if it fits the buffers.
  std::string read_some();

 protected:
  /// As ::send and ::recv.
  virtual ssize_t put(const char* from, std::size_t size);
  virtual ssize_t take(char* to, std::size_t room);

 private:
  bool fill();

  int socket_ = -1;
  std::string buffer_;
  bool closed_ = false;
};

}  // namespace trialwire::support
