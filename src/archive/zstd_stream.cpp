// SPDX-License-Identifier: Apache-2.0
#include "archive/zstd_stream.hpp"

#include <zstd.h>

#include <fmt/format.h>

#include "base/check.hpp"

namespace trialwire::archive {
namespace {

// 512 KiB: records are like their neighbours, and the program's memory is dearer.
constexpr int window_log = 19;

}  // namespace

void Compressor::Free::operator()(ZSTD_CCtx_s* context) const noexcept {
  ZSTD_freeCCtx(context);
}

Compressor::Compressor(int level, std::uint64_t bytes, Out out)
    : context_(ZSTD_createCCtx()), ready_(ZSTD_CStreamOutSize()), out_(std::move(out)) {
  TW_CHECK(context_ != nullptr);
  const auto set = [this](ZSTD_cParameter parameter, int value) {
    TW_CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(context_.get(), parameter, value)) == 0);
  };
  set(ZSTD_c_compressionLevel, level);
  set(ZSTD_c_windowLog, window_log);
  set(ZSTD_c_checksumFlag, 1);
  TW_CHECK(ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context_.get(), bytes)) == 0);
}

Compressor::~Compressor() = default;

Result<void> Compressor::run(ByteView bytes, bool end) {
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  while (true) {
    ZSTD_outBuffer output{ready_.data(), ready_.size(), 0};
    const std::size_t left =
        ZSTD_compressStream2(context_.get(), &output, &input, end ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left) != 0) {
      return fail(ErrorCode::internal, fmt::format("zstd: {}", ZSTD_getErrorName(left)));
    }
    if (output.pos > 0) {
      if (auto taken = out_(ByteView(ready_).first(output.pos)); !taken) return taken;
    }
    if (end ? left == 0 : input.pos == input.size) return {};
  }
}

Result<void> Compressor::write(ByteView bytes) {
  return run(bytes, false);
}
Result<void> Compressor::finish() {
  return run({}, true);
}

void InflatedStream::Free::operator()(ZSTD_DCtx_s* context) const noexcept {
  ZSTD_freeDCtx(context);
}

InflatedStream::InflatedStream(std::unique_ptr<storage::ByteStream> compressed)
    : compressed_(std::move(compressed)),
      context_(ZSTD_createDCtx()),
      input_(ZSTD_DStreamInSize()) {
  TW_CHECK(context_ != nullptr);
}
InflatedStream::~InflatedStream() = default;

Result<void> InflatedStream::fill() {
  const auto read = compressed_->read(input_);
  if (!read) return std::unexpected(read.error());
  filled_ = *read;
  used_ = 0;
  input_ended_ = filled_ == 0;
  return {};
}

Result<std::size_t> InflatedStream::read(MutableBytes into) {
  ZSTD_outBuffer output{into.data(), into.size(), 0};
  while (output.pos < output.size && !(frame_ended_ && input_ended_)) {
    if (used_ == filled_ && !input_ended_) {
      if (auto filled = fill(); !filled) return std::unexpected(filled.error());
    }
    if (frame_ended_) {
      if (!input_ended_) return fail(ErrorCode::corrupt, "something follows the compressed data");
      break;
    }
    ZSTD_inBuffer input{input_.data(), filled_, used_};
    const std::size_t before = output.pos;
    const std::size_t left = ZSTD_decompressStream(context_.get(), &output, &input);
    const bool moved = output.pos != before || input.pos != used_;
    used_ = input.pos;
    if (ZSTD_isError(left) != 0) {
      return fail(ErrorCode::corrupt, fmt::format("zstd: {}", ZSTD_getErrorName(left)));
    }
    frame_ended_ = left == 0;
    if (input_ended_ && !frame_ended_ && !moved) {
      return fail(ErrorCode::corrupt, "the compressed data is cut short");
    }
  }
  return output.pos;
}

Result<std::size_t> SummedStream::read(MutableBytes into) {
  const auto read = stream_->read(into);
  if (read) {
    sums_.hasher.update(into.first(*read));
    sums_.bytes += *read;
  }
  return read;
}

}  // namespace trialwire::archive
