// SPDX-License-Identifier: Apache-2.0
// What is at an address of this process: file and function, from /proc/self/maps and the symbol
// tables of the ELF files themselves. Read when it is made and at the first question for a file;
// for one thread, and not for a signal handler. A file that was replaced since the start is not
// read, but the program's own, which the kernel still has.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace trialwire::telemetry {

/// An executable part of a file in memory.
struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::uint64_t offset = 0;  // of `begin` in the file
  std::string path;          // "[vdso]" and the like are no files
};

/// Names longer than this are cut.
inline constexpr std::size_t symbol_bytes_max = 512;

class Symbols {
 public:
  Symbols();
  ~Symbols();
  Symbols(const Symbols&) = delete;
  Symbols& operator=(const Symbols&) = delete;

  /// The program itself first, then by address.
  const std::vector<Mapping>& mappings() const noexcept { return mappings_; }
  std::optional<std::size_t> mapping_of(std::uintptr_t address) const noexcept;
  /// The function that holds the address, demangled; of a file without one "libx.so.1+0x1234", of
  /// no file "0x1234". The view lives as long as this does.
  std::string_view name(std::uintptr_t address);
  /// The same without "+0x1234": what is to be counted together.
  std::string_view group(std::uintptr_t address);
  /// /proc/self/maps as it was read.
  const std::string& maps() const noexcept { return maps_; }

 private:
  class File;
  std::string find_name(std::uintptr_t address);

  std::string maps_;
  std::vector<Mapping> mappings_;
  std::unordered_map<std::string, std::unique_ptr<File>> files_;
  std::unordered_map<std::uintptr_t, std::string> names_;
};

}  // namespace trialwire::telemetry
