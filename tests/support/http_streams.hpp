// SPDX-License-Identifier: Apache-2.0
// A run of bytes taken apart into requests by net's parser, cut into any pieces; what the fuzz
// targets and the conformance cases compare.
#pragma once
#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/chunked.hpp"
#include "net/parser.hpp"

namespace trialwire::support {

struct StreamRequest {
  std::string method;
  std::string target;
  int minor_version = 1;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case, sorted
  std::string body;
  bool operator==(const StreamRequest&) const = default;
};

enum class StreamEnd { between_requests, incomplete, refused };

struct Stream {
  std::vector<StreamRequest> requests;
  std::vector<std::string> chunked;  // of each request: chunks and trailers as sent
  StreamEnd end = StreamEnd::between_requests;
  int status = 0;  // of the refusal
  bool operator==(const Stream&) const = default;
};

inline std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return out;
}

inline void sort_headers(StreamRequest& request) {
  std::sort(request.headers.begin(), request.headers.end());
}

/// Hands out the bytes in pieces of the given sizes, over and over; none: all at once. What is
/// handed to the parser is a copy of exactly its size, so that AddressSanitizer sees each step
/// beyond it.
class Pieces {
 public:
  Pieces(std::string_view bytes, std::span<const std::size_t> sizes)
      : bytes_(bytes), sizes_(sizes) {}
  bool feed() {
    if (fed_ == bytes_.size()) return false;
    std::size_t size =
        sizes_.empty() ? bytes_.size() : std::max<std::size_t>(1, sizes_[next_++ % sizes_.size()]);
    size = std::min(size, bytes_.size() - fed_);
    have_.append(bytes_.substr(fed_, size));
    fed_ += size;
    copy_ = std::make_unique<char[]>(have_.size());
    std::memcpy(copy_.get(), have_.data(), have_.size());
    return true;
  }
  std::string_view have() const { return {copy_.get(), have_.size()}; }
  void drop(std::size_t bytes) {
    have_.erase(0, bytes);
    copy_ = std::make_unique<char[]>(have_.size());
    std::memcpy(copy_.get(), have_.data(), have_.size());
  }

 private:
  std::string_view bytes_;
  std::span<const std::size_t> sizes_;
  std::size_t next_ = 0;
  std::size_t fed_ = 0;
  std::string have_;
  std::unique_ptr<char[]> copy_;
};

/// The next request; false: `stream.end` says why there is none.
inline bool take_request(Pieces& pieces, const net::HeadLimits& limits, std::size_t body_max,
                         net::RequestHead& head, Stream& stream) {
  auto ends = [&stream](StreamEnd end, int status) {
    stream.end = end;
    stream.status = status;
    return false;
  };
  net::Refusal refusal;
  for (;;) {
    auto state = net::parse_head(pieces.have(), limits, head, refusal);
    if (state == net::ParseState::complete) break;
    if (state == net::ParseState::refused) return ends(StreamEnd::refused, refusal.status);
    if (!pieces.feed()) return ends(StreamEnd::incomplete, 0);
  }
  StreamRequest request;
  request.method = head.method_text;
  // As sent: head.path and head.query are parts of it.
  const char* target = head.method_text.data() + head.method_text.size() + 1;
  request.target = {target, std::find(target, target + head.bytes, ' ')};
  request.minor_version = head.minor_version;
  for (const auto& field : head.headers())
    request.headers.emplace_back(lower_case(field.name), field.value);
  sort_headers(request);
  bool chunked = head.chunked;
  auto length = head.content_length;
  pieces.drop(head.bytes);
  if (length > body_max) return ends(StreamEnd::refused, 413);
  if (!chunked) {
    while (pieces.have().size() < length)
      if (!pieces.feed()) return ends(StreamEnd::incomplete, 0);
    request.body = pieces.have().substr(0, length);
    pieces.drop(length);
    stream.chunked.emplace_back();
    stream.requests.push_back(std::move(request));
    return true;
  }
  net::ChunkDecoder decoder;
  std::string chunked_text;
  for (;;) {
    std::string out(pieces.have().size(), '\0');
    auto step = decoder.decode(pieces.have().data(), pieces.have().size(), out.data(),
                               body_max - request.body.size());
    request.body.append(out, 0, step.produced);
    chunked_text += pieces.have().substr(0, step.consumed);
    pieces.drop(step.consumed);
    if (step.state == net::ChunkDecoder::State::done) break;
    if (step.state == net::ChunkDecoder::State::malformed)
      return ends(StreamEnd::refused, decoder.over_limit()            ? 413
                                      : decoder.trailers_over_limit() ? 431
                                                                      : 400);
    if (!pieces.feed()) return ends(StreamEnd::incomplete, 0);
  }
  stream.requests.push_back(std::move(request));
  stream.chunked.push_back(std::move(chunked_text));
  return true;
}

inline Stream parse_stream(std::string_view bytes, std::span<const std::size_t> sizes = {},
                           const net::HeadLimits& limits = {}, std::size_t body_max = 1 << 20) {
  Stream stream;
  Pieces pieces(bytes, sizes);
  auto head = std::make_unique<net::RequestHead>();
  while (!pieces.have().empty() || pieces.feed())
    if (!take_request(pieces, limits, body_max, *head, stream)) break;
  return stream;
}

}  // namespace trialwire::support
