// SPDX-License-Identifier: Apache-2.0
// What an archive's store may hand out: the first byte says as what the rest is read.
//   m  a manifest: parsed or refused; what is parsed is written as it was
//   c  the same with a right checksum put behind it, so that the fields are reached
//   z  a compressed object: inflated to at most 1 MiB or refused
//   s  a segment's bytes: batches or an error, never more records than fit
#include <cstring>
#include <string>

#include "archive/archive.hpp"
#include "base/check.hpp"

namespace {

using namespace trialwire;

class Bytes final : public storage::ByteStream {
 public:
  explicit Bytes(ByteView bytes) : left_(bytes) {}
  Result<std::size_t> read(MutableBytes into) override {
    const std::size_t some = std::min(into.size(), left_.size());
    if (some > 0) std::memcpy(into.data(), left_.data(), some);
    left_ = left_.subspan(some);
    return some;
  }

 private:
  ByteView left_;
};

void read_manifest(std::string_view text) {
  const auto manifest = archive::parse_manifest(text);
  if (!manifest) {
    TW_CHECK(manifest.error().code == ErrorCode::corrupt);
    return;
  }
  const std::string written = archive::manifest_text(*manifest);
  const auto again = archive::parse_manifest(written);
  TW_CHECK(again.has_value() && archive::manifest_text(*again) == written);
}

void inflate(ByteView bytes) {
  constexpr std::size_t limit = 1 << 20;
  archive::InflatedStream stream(std::make_unique<Bytes>(bytes));
  std::string content(4'096, '\0');
  for (std::size_t total = 0; total < limit;) {
    const auto read = stream.read(std::as_writable_bytes(std::span(content)));
    if (!read || *read == 0) break;
    total += *read;
  }
}

void read_segment(ByteView bytes) {
  const archive::SegmentPlace place{.journal = {}, .number = 1, .bytes = bytes.size()};
  archive::BatchStream batches(std::make_unique<Bytes>(bytes), place);
  std::uint64_t records = 0;
  while (true) {
    const auto batch = batches.next();
    if (!batch || *batch == nullptr) break;
    records += (*batch)->head.records;
  }
  TW_CHECK(records <= bytes.size() / journal::record_fixed_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'm':
      read_manifest(text);
      break;
    case 'c':
      read_manifest(archive::with_checksum(text));
      break;
    case 'z':
      inflate(as_bytes(text));
      break;
    default: {
      std::string blocks = text;
      blocks.resize((blocks.size() + journal::block_bytes - 1) / journal::block_bytes *
                    journal::block_bytes);
      if (!blocks.empty()) read_segment(as_bytes(blocks));
    }
  }
  return 0;
}
