// SPDX-License-Identifier: Apache-2.0
// zstd (RFC 8878) in both directions, streamed: memory depends on the level, not on what goes
// through. One frame an object, with its size in front and a checksum of the content at its end.
// Each is used by one thread.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "storage/objects/object_store.hpp"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace trialwire::archive {

class Compressor {
 public:
  using Out = std::function<Result<void>(ByteView)>;
  /// Exactly `bytes` will be written. Whatever is ready goes to `out`, whose error ends it.
  Compressor(int level, std::uint64_t bytes, Out out);
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  Result<void> write(ByteView bytes);
  Result<void> finish();

 private:
  Result<void> run(ByteView bytes, bool end);
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const noexcept;
  };
  std::unique_ptr<ZSTD_CCtx_s, Free> context_;
  std::vector<std::byte> ready_;
  Out out_;
};

/// The content of a compressed stream. Errors: corrupt, when it is not exactly one whole frame or
/// its checksum does not match; the stream's own.
class InflatedStream final : public storage::ByteStream {
 public:
  explicit InflatedStream(std::unique_ptr<storage::ByteStream> compressed);
  ~InflatedStream() override;

  Result<std::size_t> read(MutableBytes into) override;

 private:
  Result<void> fill();
  struct Free {
    void operator()(ZSTD_DCtx_s* context) const noexcept;
  };
  std::unique_ptr<storage::ByteStream> compressed_;
  std::unique_ptr<ZSTD_DCtx_s, Free> context_;
  std::vector<std::byte> input_;
  std::size_t filled_ = 0;
  std::size_t used_ = 0;
  bool input_ended_ = false;
  bool frame_ended_ = false;
};

/// Passes a stream on and adds up what went by. The sums outlive it.
struct StreamSums {
  std::uint64_t bytes = 0;
  Sha256Hasher hasher;
  StreamSums() { hasher.begin(); }
};
class SummedStream final : public storage::ByteStream {
 public:
  SummedStream(std::unique_ptr<storage::ByteStream> stream, StreamSums& sums)
      : stream_(std::move(stream)), sums_(sums) {}
  Result<std::size_t> read(MutableBytes into) override;

 private:
  std::unique_ptr<storage::ByteStream> stream_;
  StreamSums& sums_;
};

}  // namespace trialwire::archive
