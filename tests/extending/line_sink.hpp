// SPDX-License-Identifier: Apache-2.0
// A sink that writes each record as a line of a file: record id, a tab, the sender's bytes in
// hexadecimal. One lane. Durable when `deliver` returns: lines and cursor in one step, since the
// file counts only as far as the cursor's own file says, which is replaced as a whole. What a
// crash left behind that is written over.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "journal/file_layer.hpp"
#include "pipeline/sink.hpp"

namespace trialwire::extending {

class LineSink final : public pipeline::Sink {
 public:
  /// `file` and, beside it, FILE.cursor. Bound: a record of at most 1 MiB.
  LineSink(std::filesystem::path file, journal::FileLayer& files);

  std::string_view name() const noexcept override { return "lines"; }
  Result<journal::Cursor> durable_cursor(const Uuid& journal) override;
  Result<void> deliver(std::span<const journal::Record> records,
                       const journal::Cursor& cursor) override;
  void reset() noexcept override { lines_.reset(); }
  bool rolled_back() const noexcept override { return true; }  // what it refuses it never writes

 private:
  struct Place {
    std::string journal;
    std::uint64_t next_sequence = 1;
    std::uint64_t bytes = 0;  // of the file, that count
    friend bool operator==(const Place&, const Place&) = default;
  };
  std::filesystem::path cursor_file() const;
  Result<Place> read_place() const;
  Result<void> open();

  std::filesystem::path file_;
  journal::FileLayer& files_;
  std::unique_ptr<journal::File> lines_;  // null: not open
  Place place_;                           // as it was read or written last
};

}  // namespace trialwire::extending
