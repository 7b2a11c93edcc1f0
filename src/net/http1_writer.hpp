// SPDX-License-Identifier: Apache-2.0
// ResponseWriter for HTTP/1.1: one a shard and listener, writing into the shard's output buffer.
// Shard's thread only. Used in the order start, header*, body | finish; anything else is a broken
// invariant.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/byte_buffer.hpp"
#include "net/response.hpp"

namespace trialwire::net {

/// "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", formatted once a second.
class DateLine {
 public:
  std::string_view at(std::int64_t unix_ns) noexcept;

 private:
  std::int64_t second_ = -1;
  std::array<char, 37> text_{};
};

/// How a response is framed.
struct ResponseFraming {
  bool head_only = false;           // answers HEAD
  bool close = false;               // the connection ends after it
  bool keep_alive_1_0 = false;      // an HTTP/1.0 client asked to stay
  std::uint32_t retry_after_s = 1;  // of a problem that is 429 or 503
  std::string_view lines;           // whole header lines of every answer; must outlive `start`
};

class Http1Writer final : public ResponseWriter {
 public:
  Http1Writer(ByteBuffer& out, DateLine& date) noexcept : out_(out), date_(date) {}

  /// The next response begins. `unix_ns` is for Date.
  void begin(const ResponseFraming& framing, std::int64_t unix_ns) noexcept;
  bool started() const noexcept { return stage_ != Stage::idle; }
  bool finished() const noexcept { return stage_ == Stage::finished; }
  Status status() const noexcept { return status_; }
  /// Takes back what was written since `begin`.
  void discard() noexcept;

  ResponseWriter& start(Status status) override;
  ResponseWriter& header(std::string_view name, std::string_view value) override;
  void body(std::string_view content_type, std::string_view content) override;
  void finish() override;
  void problem(ErrorCode code, std::string_view text, std::string_view detail_json) override;
  void problem_body(std::string_view text, std::string_view detail_json) override;

  /// As `problem`, for a status that no ErrorCode has.
  void problem_status(Status status, std::string_view text, std::string_view detail_json = {});
  /// As `problem_status` with an Allow header.
  void not_allowed(std::string_view allow);

 private:
  enum class Stage : std::uint8_t { idle, headers, finished };

  void make_problem(std::string_view text, std::string_view detail_json);
  void end_of_head(std::size_t content_bytes, std::string_view content_type, bool with_length);

  ByteBuffer& out_;
  DateLine& date_;
  ByteBuffer problem_;         // the last one
  Status problem_status_ = 0;  // its status; 0: it has details
  std::string problem_text_;
  std::int64_t unix_ns_ = 0;
  std::size_t begin_ = 0;
  ResponseFraming framing_;
  Stage stage_ = Stage::idle;
  Status status_ = 0;
};

}  // namespace trialwire::net
